/**
 * Checks that the disk has room for a backup or a push, and keeps a reserve for the hub, which writes to the same disk.
 */
import { execFile } from 'node:child_process';
import { stat, statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { OrkestrError } from '../protocol/errors.ts';
import { isDiskFull } from '../protocol/service/disk-full.ts';
import { humanSize } from '../protocol/size.ts';

/** Reserve for a serving hub: its database, its logs, a push or two. */
const HUBS_BYTES = 64 * 1024 ** 2;
const HUBS_INODES = 100;
/**
 * Inodes required before a push, which may create a file for each of some ten thousand branches until they are packed.
 */
const INODES_FOR_PUSH = 10_000;
/** Bytes written between two checks of the disk. */
const LOOK_EVERY = 8 * 1024 ** 2;
const SYNC_MS = 10 * 60_000;

/** A stage in the stream of a backup's bytes. */
export type Through = (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

export const unchanged: Through = (chunks) => chunks;

/** Space available to users other than root. */
interface Free {
  readonly bytes: number;
  readonly inodes: number;
}

async function freeAt(folder: string): Promise<Free> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  // Some file systems have no fixed number of inodes and report 0.
  return { bytes: bavail * bsize, inodes: files === 0 ? Number.MAX_SAFE_INTEGER : ffree };
}

const describe = ({ bytes, inodes }: Free): string =>
  `${humanSize(bytes)}${inodes < Number.MAX_SAFE_INTEGER ? ` and ${inodes} inodes` : ''}`;

/**
 * Runs `work`, which writes to this folder.
 * @throws OrkestrError ORK_DISK_FULL when the disk is full; and what `work` throws
 */
export async function inRoomOf<T>(folder: string, what: string, work: () => Promise<T>): Promise<T> {
  const before = await freeAt(folder);
  try {
    return await work();
  } catch (cause) {
    if (isReported(cause) || !isDiskFull(cause)) throw cause;
    const message = `The disk of ${folder} has no room for ${what}: only ${describe(before)} were free.`;
    throw new OrkestrError('ORK_DISK_FULL', message, { cause });
  }
}

/**
 * @param bytes to be written to the disk of the hub
 * @throws OrkestrError ORK_DISK_FULL when less than the hub's reserve would stay free
 */
export async function mustLeaveRoom(folder: string, bytes: number, inodes = HUBS_INODES): Promise<void> {
  const free = await freeAt(folder);
  if (free.bytes - bytes >= HUBS_BYTES && free.inodes >= inodes) return;
  const needed = `${bytes > 0 ? `${humanSize(bytes)} are needed, and ` : ''}${humanSize(HUBS_BYTES)}`;
  throw new OrkestrError(
    'ORK_DISK_FULL',
    `The disk of ${folder} has ${describe(free)} free; ${needed} and ${inodes} inodes must stay free for the hub.`,
  );
}

/** Bytes that a push may write to the disk of the hub. @throws OrkestrError ORK_DISK_FULL when there are none */
export async function roomBesideHub(folder: string): Promise<number> {
  await mustLeaveRoom(folder, 1, INODES_FOR_PUSH);
  return (await freeAt(folder)).bytes - HUBS_BYTES;
}

/**
 * A stage for writing to a file in `folder`: fails with ORK_DISK_FULL before it uses the reserve of a hub on the same
 * disk.
 */
export async function leavingRoom(folder: string, hub: string): Promise<Through> {
  const [here, there] = await Promise.all([stat(folder), stat(hub)]);
  if (here.dev !== there.dev) return unchanged;
  return async function* (chunks) {
    let unseen = LOOK_EVERY;
    for await (const chunk of chunks) {
      unseen += chunk.length;
      if (unseen >= LOOK_EVERY) {
        await mustLeaveRoom(folder, 0);
        unseen = 0;
      }
      yield chunk;
    }
  };
}

/** Flush the file system of `folder`, names included, so that its files survive a power cut. */
export async function writeOut(folder: string): Promise<void> {
  // Node has no syncfs(2).
  await promisify(execFile)('sync', ['--file-system', '--', folder], { timeout: SYNC_MS });
}

const isReported = (error: unknown): boolean => error instanceof OrkestrError && error.code === 'ORK_DISK_FULL';
