/**
 * A backup as one file: a gzipped tar (POSIX.1-2001, pax) of a folder. Its last entry is the manifest with the
 * checksums of all others, so a truncated archive is recognized by its missing manifest.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { createGunzip, createGzip } from 'node:zlib';
import { extract, pack, type Header, type Pack } from 'tar-stream';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { Timestamp } from '../../protocol/ids.ts';
import { Sha256 } from '../../protocol/release.ts';
import type { Through } from '../disk.ts';

const MANIFEST_NAME = 'manifest.json';
const FORMAT = 1;
const FOLDER = { recursive: true, mode: 0o700 } as const;

/**
 * A path that stays below the target folder: no root, no `..`, no empty part. Otherwise any file name is allowed: git
 * names files after branches, and every backup that can be written must be restorable.
 */
const EntryName = z
  .string()
  .max(4096)
  .regex(/^(?:(?!\.{1,2}(?:\/|$))[^/\0]+(?:\/|$))+$/);

const Manifest = z.object({
  format: z.literal(FORMAT),
  /** Version of the orkestr that wrote it. */
  version: z.string().max(50),
  at: Timestamp,
  /** SHA-256 by name. */
  sums: z.record(EntryName, Sha256),
});
export type Manifest = z.infer<typeof Manifest>;

/** Writes everything below `folder` to `out` and ends it. */
export async function writeArchive(
  folder: string,
  { through, out }: { through: Through; out: Writable },
  about: { version: string; at: string },
): Promise<void> {
  const tar = pack();
  const written = pipeline(tar, createGzip(), through, out);
  const fill = async (): Promise<void> => {
    const sums: Record<string, string> = {};
    for (const name of await namesBelow(folder)) {
      const { size, mtime, mode } = await stat(join(folder, name));
      if (name.endsWith('/')) await addFolder(tar, name);
      else
        sums[name] = await addFile(
          tar,
          { name, size, mtime, mode: mode & 0o777 },
          createReadStream(join(folder, name)),
        );
    }
    const manifest: Manifest = { format: FORMAT, ...about, sums };
    const bytes = Buffer.from(JSON.stringify(manifest));
    await addFile(tar, { name: MANIFEST_NAME, size: bytes.length }, Readable.from([bytes]));
    tar.finalize();
  };
  // A full disk rejects `written` and destroys the tar stream that `fill` waits for.
  await Promise.all([fill(), written]);
}

/**
 * Extracts an archive into an empty folder.
 * @throws OrkestrError ORK_BACKUP_UNREADABLE when it is not a backup, was truncated or was changed
 */
export async function readArchive(from: Readable, folder: string): Promise<Manifest> {
  const sums: Record<string, string> = {};
  let manifest: Manifest | undefined;
  const entries = extract();
  const take = async (): Promise<void> => {
    for await (const content of entries) {
      const { header } = content;
      if (header.name === MANIFEST_NAME) manifest = Manifest.parse(JSON.parse(await text(content)));
      else if (header.type === 'directory') await mkdir(join(folder, checked(header.name)), FOLDER);
      else sums[header.name] = await layFile(header, content, folder);
    }
  };
  try {
    await Promise.all([take(), pipeline(from, createGunzip(), entries)]);
  } catch (cause) {
    throw unreadable(`it cannot be read (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (manifest === undefined) throw unreadable('its end is missing');
  const told = manifest.sums;
  const wrong = [...new Set([...Object.keys(told), ...Object.keys(sums)])].filter((name) => told[name] !== sums[name]);
  if (wrong.length > 0) throw unreadable(`${wrong.slice(0, 3).join(', ')} has changed since it was written`);
  return manifest;
}

function unreadable(why: string, cause?: unknown): OrkestrError {
  return new OrkestrError('ORK_BACKUP_UNREADABLE', `This is not a complete backup of a hub: ${why}.`, { cause });
}

function checked(name: string): string {
  if (EntryName.safeParse(name).success) return name;
  throw new Error(`${name.slice(0, 200)} is not a valid path in a backup`);
}

/** Folder names end with a slash and precede their contents. */
async function namesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .map((entry) => `${join(entry.parentPath, entry.name).slice(folder.length + 1)}${entry.isDirectory() ? '/' : ''}`)
    .toSorted();
}

function addFolder(tar: Pack, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ name, type: 'directory', mode: 0o700 }, (error) => (error ? reject(error) : resolve()));
  });
}

/** @returns its SHA-256, hex */
async function addFile(tar: Pack, header: Parameters<Pack['entry']>[0], content: Readable): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(content, through(hash), tar.entry(header));
  return hash.digest('hex');
}

/** @returns its SHA-256, hex */
async function layFile({ name, type, mode }: Header, content: AsyncIterable<unknown>, folder: string): Promise<string> {
  if (type !== 'file') throw new Error(`${name} is a ${type}`);
  const path = join(folder, checked(name));
  const hash = createHash('sha256');
  await mkdir(dirname(path), FOLDER);
  await pipeline(content, through(hash), createWriteStream(path, { flags: 'wx', mode: mode & 0o700 }));
  return hash.digest('hex');
}

const through = (hash: Hash) =>
  async function* (chunks: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      hash.update(chunk);
      yield chunk;
    }
  };
