/**
 * One of the two copies of the table on disk: JSON with a serial number and a checksum, padded with spaces to a
 * multiple of STEP_BYTES. A copy that keeps its size is overwritten in place, without a new name or a journal entry.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, statSync, write } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { Table } from '../../protocol/proxy-admin.ts';
import { writePrivateFile } from '../private-file.ts';

/** Copies are padded to a multiple of this, bytes; enough for some twenty upstreams. */
const STEP_BYTES = 16_384;

/** The table with a checksum: an address with a flipped digit is still valid JSON and would lead to a stranger. */
const Stored = Table.extend({ serial: z.number().int().min(0), sha256: z.string() });

export type Copy =
  | { readonly is: 'whole'; readonly serial: number; readonly table: Table }
  | { readonly is: 'absent' }
  | { readonly is: 'damaged'; readonly damage: string };

/** Never rejects, whatever the file contains. */
export async function readCopy(path: string): Promise<Copy> {
  try {
    return decode(await readFile(path, 'utf8'));
  } catch (error) {
    // Only a missing file is not damage; an unreadable one is.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { is: 'absent' };
    return { is: 'damaged', damage: String(error) };
  }
}

/**
 * Resolves once the copy is on disk. If it rejects, or the machine goes down during the write, the copy may be damaged;
 * therefore callers never overwrite the copy that was written last.
 * @throws OrkestrError ORK_DISK_FULL, or the system's error
 */
export async function writeCopy(path: string, serial: number, table: Table): Promise<void> {
  const text = encode(serial, table);
  const size = Math.ceil(Buffer.byteLength(text) / STEP_BYTES) * STEP_BYTES;
  const bytes = Buffer.alloc(size, ' ');
  bytes.write(text);
  if (sizeOf(path) === size) await overwrite(path, bytes);
  else await writePrivateFile(path, bytes);
}

/** Synchronous, because it takes microseconds; a thread pool result waits for a turn of a busy event loop. */
function sizeOf(path: string): number | null {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true ? found.size : null;
}

const writeAt = promisify(write);

/** All bytes are on disk when this resolves (open(2), O_DSYNC). */
async function overwrite(path: string, bytes: Buffer): Promise<void> {
  const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
  try {
    for (let at = 0; at < bytes.length;) at += (await writeAt(file, bytes, at, bytes.length - at, at)).bytesWritten;
  } finally {
    closeSync(file);
  }
}

function encode(serial: number, { version, upstreams }: Table): string {
  const sha256 = checksum({ serial, version, upstreams });
  return `${JSON.stringify({ serial, version, upstreams, sha256 }, null, 2)}\n`;
}

type Summed = Pick<z.infer<typeof Stored>, 'serial' | 'version' | 'upstreams'>;

function checksum({ serial, version, upstreams }: Summed): string {
  return createHash('sha256').update(JSON.stringify({ serial, version, upstreams })).digest('hex');
}

function decode(text: string): Copy {
  const damaged = (damage: string): Copy => ({ is: 'damaged', damage });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The damage is the result, not an error.
    return damaged(`not JSON (${text.length} characters): ${String(error)}`);
  }
  const read = Stored.safeParse(value);
  if (!read.success) return damaged(`not a table: ${read.error.issues[0]?.path.join('.')}`);
  const { sha256, serial, ...table } = read.data;
  // Over the value as written, not as parsed by the schema: another version may have more fields, in another order.
  if (sha256 !== checksum(value as Summed)) return damaged('the checksum does not match');
  return { is: 'whole', serial, table };
}
