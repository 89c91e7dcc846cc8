/**
 * The table on disk. Written to a temporary file, fsynced, renamed, the folder fsynced; the copy before it is kept.
 * A file that cannot be read is never taken for an empty table: the copy before it serves, and if that is damaged too
 * the proxy says so (ORK_TABLE_UNREADABLE) and keeps both files for a look.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fsync, linkSync, openSync, renameSync, rmSync, writeFile } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { Table } from '../../protocol/proxy-admin.ts';
import type { Logger } from '../../protocol/service/logger.ts';

const writeFully = promisify(writeFile);

/** The table with a checksum: a flipped digit of an address is valid JSON and would send visitors to a stranger. */
const Stored = Table.extend({ sha256: z.string() });

export type Restored =
  | { readonly from: 'file' | 'previous' | 'nothing'; readonly table: Table }
  | { readonly from: 'unreadable'; readonly evidence: readonly string[] };

type Copy = { readonly table: Table } | { readonly absent: true } | { readonly damage: string };

export class TableFile {
  readonly #directory: string;
  readonly #current: string;
  readonly #previous: string;
  readonly #log: Logger;
  readonly #sync: (directory: number) => Promise<void>;
  /** False while the current file is absent or damaged: then it must not become the previous copy. */
  #currentIsGood = false;
  /** Damaged files found at start. They stay where they are until the first save, so that a restart finds them again. */
  #damaged: readonly string[] = [];

  /** @param sync what makes a rename durable; a test lets it fail */
  constructor(directory: string, log: Logger, sync: (directory: number) => Promise<void> = promisify(fsync)) {
    this.#directory = directory;
    this.#current = join(directory, 'table.json');
    this.#previous = join(directory, 'table.previous.json');
    this.#log = log;
    this.#sync = sync;
  }

  /** Reads the table once, at start. Never rejects for what stands in the files. */
  async restore(): Promise<Restored> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const current = await readCopy(this.#current);
    if ('table' in current) {
      this.#currentIsGood = true;
      return { from: 'file', table: current.table };
    }
    const previous = await readCopy(this.#previous);
    if ('absent' in current && 'absent' in previous) return { from: 'nothing', table: { version: 1, upstreams: [] } };
    this.#damaged = [
      ...('damage' in current ? [this.#current] : []),
      ...('damage' in previous ? [this.#previous] : []),
    ];
    const evidence = [describe(this.#current, current), describe(this.#previous, previous)];
    if ('table' in previous) {
      this.#log.error({ evidence }, 'the table file is unreadable; serving the copy before it, which may be older');
      return { from: 'previous', table: previous.table };
    }
    this.#log.error({ code: 'ORK_TABLE_UNREADABLE', evidence }, 'both copies of the table are unreadable');
    return { from: 'unreadable', evidence };
  }

  /**
   * Resolves when the table is on disk. Rejects when it is not; then the file holds what it held before.
   *
   * A flip waits for this, and each turn of the event loop that it waits for is one behind all that the visitors ask. So
   * only what waits for the disk is left to another thread: the bytes of the file, and the folder. Names are changed in
   * memory, a quarter of a millisecond in all; only a journal that is busy makes them wait.
   */
  async save(table: Table): Promise<void> {
    const temporary = `${this.#current}.new`;
    await writeDurably(temporary, encode(table));
    this.#keepBefore();
    renameSync(temporary, this.#current);
    await this.#syncOrPutBack();
    this.#currentIsGood = true;
  }

  /** What is on disk becomes the previous copy, or is set aside if it is damaged. */
  #keepBefore(): void {
    for (const path of this.#damaged) {
      renameSync(path, `${path}.damaged`);
      this.#damaged = this.#damaged.filter((other) => other !== path);
    }
    if (this.#currentIsGood) this.#keepCurrent();
  }

  async #syncOrPutBack(): Promise<void> {
    const directory = openSync(this.#directory, 'r');
    try {
      await this.#sync(directory);
    } catch (error) {
      this.#putBack();
      throw error;
    } finally {
      closeSync(directory);
    }
  }

  /** Makes the current file the previous copy without a moment in which the current one is missing. */
  #keepCurrent(): void {
    const temporary = `${this.#previous}.new`;
    // One that a killed process left behind.
    rmSync(temporary, { force: true });
    linkSync(this.#current, temporary);
    renameSync(temporary, this.#previous);
  }

  /** The flip will be refused, so a restart must not find it on disk. */
  #putBack(): void {
    if (!this.#currentIsGood) return rmSync(this.#current, { force: true });
    const temporary = `${this.#current}.new`;
    linkSync(this.#previous, temporary);
    renameSync(temporary, this.#current);
  }
}

function encode(table: Table): string {
  const { version, upstreams } = table;
  return `${JSON.stringify({ version, upstreams, sha256: checksum(table) }, null, 2)}\n`;
}

function checksum({ version, upstreams }: Table): string {
  return createHash('sha256').update(JSON.stringify({ version, upstreams })).digest('hex');
}

async function readCopy(path: string): Promise<Copy> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    // Only a missing file is no damage; one that we may not or cannot read is.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? { absent: true } : { damage: String(error) };
  }
  return decode(text);
}

function decode(text: string): Copy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // What is wrong with the file is this function's answer.
    return { damage: `not JSON (${text.length} characters): ${String(error)}` };
  }
  const read = Stored.safeParse(value);
  if (!read.success) return { damage: `not a table: ${read.error.issues[0]?.path.join('.')}` };
  const { sha256, ...table } = read.data;
  // Over what was written, not over what it is read as: another version may know more fields, in another order.
  const isWhole = sha256 === checksum(value as Pick<Table, 'version' | 'upstreams'>);
  return isWhole ? { table } : { damage: 'the checksum does not match' };
}

function describe(path: string, copy: Copy): string {
  if ('damage' in copy) return `${path}: ${copy.damage}`;
  return `${path}: ${'absent' in copy ? 'absent' : 'readable'}`;
}

/** All that is written is on disk when this resolves. */
async function writeDurably(path: string, text: string): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_DSYNC } = constants;
  const file = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_DSYNC, 0o600);
  try {
    await writeFully(file, text);
  } finally {
    closeSync(file);
  }
}
