/** Room on a disk for what a backup or a push writes, and none taken from the hub, which goes on writing to its own. */
import { execFile } from 'node:child_process';
import { stat, statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { OrkestrError } from '../protocol/errors.ts';
import { isDiskFull } from '../protocol/service/disk-full.ts';
import { humanSize } from '../protocol/size.ts';

/** What stays free for a hub that serves: its database, its logs, a push or two. */
const HUBS_BYTES = 64 * 1024 ** 2;
const HUBS_INODES = 100;
/** Before a push: it may make a file of each of some ten thousand branches, until they are packed. */
const INODES_FOR_PUSH = 10_000;
/** Between two looks at a disk that is written to, bytes. */
const LOOK_EVERY = 8 * 1024 ** 2;
const SYNC_MS = 10 * 60_000;

/** A part of the way that the bytes of a backup go. */
export type Through = (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

export const unchanged: Through = (chunks) => chunks;

/** What a user who is not root may still write. */
interface Free {
  readonly bytes: number;
  readonly inodes: number;
}

async function freeAt(folder: string): Promise<Free> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  // Some file systems have no fixed number of inodes and say 0.
  return { bytes: bavail * bsize, inodes: files === 0 ? Number.MAX_SAFE_INTEGER : ffree };
}

const told = ({ bytes, inodes }: Free): string =>
  `${humanSize(bytes)}${inodes < Number.MAX_SAFE_INTEGER ? ` and ${inodes} inodes` : ''}`;

/** Runs `work`, which writes into this folder. @throws OrkestrError ORK_DISK_FULL when the disk is full; and what `work` throws */
export async function inRoomOf<T>(folder: string, what: string, work: () => Promise<T>): Promise<T> {
  const before = await freeAt(folder);
  try {
    return await work();
  } catch (cause) {
    if (isTold(cause) || !isDiskFull(cause)) throw cause;
    const message = `The disk of ${folder} has no room for ${what}: only ${told(before)} were free.`;
    throw new OrkestrError('ORK_DISK_FULL', message, { cause });
  }
}

/**
 * @param bytes that are about to be written to the disk of the hub
 * @throws OrkestrError ORK_DISK_FULL when too little stays free for the hub
 */
export async function mustLeaveRoom(folder: string, bytes: number, inodes = HUBS_INODES): Promise<void> {
  const free = await freeAt(folder);
  if (free.bytes - bytes >= HUBS_BYTES && free.inodes >= inodes) return;
  const needed = `${bytes > 0 ? `${humanSize(bytes)} are needed, and ` : ''}${humanSize(HUBS_BYTES)}`;
  throw new OrkestrError(
    'ORK_DISK_FULL',
    `The disk of ${folder} has ${told(free)} free; ${needed} and ${inodes} inodes must stay free for the hub.`,
  );
}

/** Bytes that a push may write to the disk of the hub. @throws OrkestrError ORK_DISK_FULL when there are none */
export async function roomBesideHub(folder: string): Promise<number> {
  await mustLeaveRoom(folder, 1, INODES_FOR_PUSH);
  return (await freeAt(folder)).bytes - HUBS_BYTES;
}

/** For the way to a file in `folder`: ends with ORK_DISK_FULL before it takes the room of a hub on the same disk. */
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

/** All that was written below it is on its disk, names included: it is there after a power cut. */
export async function writeOut(folder: string): Promise<void> {
  // Node has no syncfs(2).
  await promisify(execFile)('sync', ['--file-system', '--', folder], { timeout: SYNC_MS });
}

const isTold = (error: unknown): boolean => error instanceof OrkestrError && error.code === 'ORK_DISK_FULL';
