/** Fetches the files of a release from its source, each within a size limit. */
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { reasonOf } from '../../protocol/service/dialling.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import type { Clock } from '../deployment/ports.ts';
import type { ReleaseSource } from './record.ts';

/** Time limit for one file, ms. */
const FILE_MS = 10 * 60_000;
/** Silence after which the server counts as gone, ms. */
const IDLE_MS = 30_000;
/** A release's archive has about 35 MB. */
export const MAX_ARCHIVE_BYTES = 300_000_000;
const MAX_TEXT_BYTES = 65_536;
const TRIES = 3;
const PAUSE_MS = 2000;

interface FileWish {
  readonly name: string;
  /** Where to write it. */
  readonly path: string;
  /** A larger file is refused. */
  readonly maxBytes: number;
}

/**
 * Fetches one file of a release. Network errors are retried, up to three tries.
 * @throws OrkestrError ORK_UPGRADE_SOURCE if the source does not have it, ORK_UPGRADE_FETCH
 */
export async function fetchFile(source: ReleaseSource, wish: FileWish, clock: Pick<Clock, 'sleep'>): Promise<void> {
  switch (source.kind) {
    case 'none':
      throw new OrkestrError('ORK_UPGRADE_SOURCE', `There is no known source for ${wish.name}.`);
    case 'folder':
      return copy(join(source.path, wish.name), wish);
    case 'url':
      for (let tries = 1; ; tries += 1) {
        try {
          return await download(`${source.url}/${wish.name}`, wish);
        } catch (error) {
          await rm(wish.path, { force: true });
          if (tries === TRIES || isDiskFull(error) || (error instanceof OrkestrError && !error.kind.retry)) throw error;
          await clock.sleep(PAUSE_MS * tries);
        }
      }
  }
}

/** Fetches a small text file from a release's source. @throws OrkestrError as {@link fetchFile} */
export async function fetchText(source: ReleaseSource, name: string, clock: Pick<Clock, 'sleep'>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-upgrade-'));
  try {
    const path = join(folder, 'text');
    await fetchFile(source, { name, path, maxBytes: MAX_TEXT_BYTES }, clock);
    return readFileSync(path, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function copy(from: string, { path, maxBytes }: FileWish): Promise<void> {
  try {
    const { size } = await stat(from);
    if (size > maxBytes) throw tooLarge(from, maxBytes);
    await copyFile(from, path);
  } catch (cause) {
    if (cause instanceof OrkestrError) throw cause;
    throw new OrkestrError('ORK_UPGRADE_SOURCE', `${from} cannot be read: ${String(cause)}.`, { cause });
  }
}

async function download(url: string, { path, maxBytes }: FileWish): Promise<void> {
  try {
    const { request } = await import('undici');
    const { statusCode, body } = await request(url, {
      signal: AbortSignal.timeout(FILE_MS),
      headersTimeout: IDLE_MS,
      bodyTimeout: IDLE_MS,
    });
    if (statusCode !== 200) {
      await body.dump();
      throw new OrkestrError(
        statusCode === 404 ? 'ORK_UPGRADE_SOURCE' : 'ORK_UPGRADE_FETCH',
        `${url} answered with status ${statusCode}.`,
      );
    }
    await pipeline(body as Readable, bounded(url, maxBytes), createWriteStream(path, { mode: 0o600, flush: true }));
  } catch (cause) {
    if (cause instanceof OrkestrError) throw cause;
    throw new OrkestrError('ORK_UPGRADE_FETCH', `${url} could not be fetched: ${reasonOf(cause)}.`, { cause });
  }
}

/** Enforces the limit whatever length the server declares. */
function bounded(what: string, maxBytes: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxBytes) done(tooLarge(what, maxBytes));
      else done(null, chunk);
    },
  });
}

const tooLarge = (what: string, maxBytes: number): OrkestrError =>
  new OrkestrError(
    'ORK_UPGRADE_SIGNATURE',
    `${what} has more than ${maxBytes} bytes, which is too large for a file of a release.`,
  );
