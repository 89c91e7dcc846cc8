/**
 * Serves file trees to the engine (moby/buildkit session/filesync, tonistiigi/fsutil send and receive): it receives the
 * list of entries, compares them with those of the last build, and requests the files that changed.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { ContextEntry, ContextFile } from '../context/context.ts';
import { type FilePackets, PACKET } from './file-packets.ts';
import type { Call, Method } from './grpc.ts';
import { GRPC, GrpcStatus } from './grpc-status.ts';
import { type Sender, frame } from './grpc-stream.ts';

/** Files read concurrently: one at a time, disk and connection would wait for each other. */
const READ_AT_ONCE = 8;
const CHUNK_BYTES = 65_536;
/**
 * Number of pending file requests at which no more entries are announced: the engine holds some 6 kB for each file that
 * it waits for (measured with Docker 20.10), which would exhaust its memory with 200,000 new files.
 */
const MAX_WAITING = 4096;

/** Entries of a tree: folders before their content, names in byte order. */
export type Tree = readonly ContextEntry[];

/** Result of a sync. */
export interface SyncRecord {
  /** Files whose content the engine requested, and their bytes. */
  files: number;
  bytes: number;
  /** Why the tree could not be sent. The build then fails, with a less specific error from the engine. */
  failure: Error | null;
}

export const newRecord = (): SyncRecord => ({ files: 0, bytes: 0, failure: null });

export interface Sync {
  readonly tree: Tree;
  readonly record: SyncRecord;
}

/**
 * The method DiffCopy.
 * @param syncFor returns what to send for a call, by its `dir-name` and requested paths ("followpaths"); null: nothing
 */
export function fileSync(packets: FilePackets, syncFor: (name: string, paths: string) => Sync | null): Method {
  return async (call) => {
    const sync = syncFor(headerOf(call, 'dir-name'), headerOf(call, 'followpaths'));
    if (sync === null) throw new GrpcStatus(GRPC.notFound, 'There is no such folder.');
    try {
      await sendTree(sync, call, packets);
    } catch (error) {
      if (!(error instanceof ContextChanged)) throw error;
      sync.record.failure ??= error;
      throw new GrpcStatus(GRPC.internal, error.message);
    }
  };
}

/** A file no longer matches its announced entry. */
class ContextChanged extends Error {}

/** Joins several values with commas. BuildKit escapes non-ASCII values, but none of the relevant names has any. */
function headerOf({ headers }: Call, key: string): string {
  const value = headers[key] ?? '';
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Sends the stats, and the requested files meanwhile, until the engine reports completion or an error occurs. */
async function sendTree(sync: Sync, call: Call, packets: FilePackets): Promise<void> {
  const failed = Promise.withResolvers<never>();
  const wanted = makeWanted(sync, call.sender, packets, failed.reject);
  const requests = readRequests(call, packets, wanted.ask);
  // The first failure is the reason; the others only follow from the end of the call.
  await Promise.race([
    Promise.all([sendStats(sync.tree, call.sender, packets, wanted.untilFew), requests]),
    failed.promise,
  ]);
  await call.sender.send(frame(packets.end));
}

async function sendStats(
  tree: Tree,
  sender: Sender,
  packets: FilePackets,
  untilFew: () => Promise<void>,
): Promise<void> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for (const entry of tree) {
    const stat = frame(packets.stat(entry));
    waiting.push(stat);
    bytes += stat.length;
    if (bytes < CHUNK_BYTES) continue;
    await untilFew();
    await sender.send(Buffer.concat(waiting));
    waiting = [];
    bytes = 0;
  }
  await sender.send(Buffer.concat([...waiting, frame(packets.lastStat)]));
}

async function readRequests({ messages }: Call, packets: FilePackets, ask: (id: number) => void): Promise<void> {
  for await (const message of messages) {
    const { type, id, data } = packetIn(packets, message);
    if (type === PACKET.end) return;
    if (type === PACKET.request) ask(id);
    if (type === PACKET.error) throw new Error(`The engine could not take a file: ${Buffer.from(data).toString()}`);
  }
  throw new Error('The engine went away.');
}

function packetIn(packets: FilePackets, message: Uint8Array): ReturnType<FilePackets['read']> {
  try {
    return packets.read(message);
  } catch {
    throw new GrpcStatus(GRPC.internal, 'A request is no packet of a file sync.'); // the details would help no one
  }
}

interface Wanted {
  readonly ask: (id: number) => void;
  /** Waits until few enough requests are pending to announce more. */
  readonly untilFew: () => Promise<void>;
}

/** Sends each file that the engine requests once, a few at a time. */
function makeWanted(
  { tree, record }: Sync,
  sender: Sender,
  packets: FilePackets,
  fail: (error: unknown) => void,
): Wanted {
  const known = new Set<number>();
  /** In the order of the requests. Each file is accepted once, so the list is no longer than the tree. */
  const asked: { readonly id: number; readonly file: ContextFile }[] = [];
  let begun = 0;
  let running = 0;
  let few: PromiseWithResolvers<void> | null = null;

  const work = async (): Promise<void> => {
    running += 1;
    try {
      for (let next = asked[begun]; next !== undefined; next = asked[begun]) {
        begun += 1;
        if (asked.length - begun < MAX_WAITING) {
          few?.resolve();
          few = null;
        }
        record.files += 1;
        record.bytes += next.file.size;
        await sendFile(next.id, next.file, sender, packets);
      }
    } finally {
      running -= 1;
    }
  };

  return {
    ask: (id) => {
      const file = tree[id];
      if (file?.kind !== 'file' || known.has(id)) {
        throw new GrpcStatus(GRPC.notFound, `There is no file ${id} that was not asked for yet.`);
      }
      known.add(id);
      asked.push({ id, file });
      if (running < READ_AT_ONCE) work().catch(fail);
    },
    untilFew: async () => {
      if (asked.length - begun < MAX_WAITING) return;
      few ??= Promise.withResolvers<void>();
      await few.promise;
    },
  };
}

async function sendFile(id: number, file: ContextFile, sender: Sender, packets: FilePackets): Promise<void> {
  const end = frame(packets.data(id, EMPTY));
  if ('bytes' in file.content) {
    const { bytes } = file.content;
    for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
      await sender.send(frame(packets.data(id, bytes.subarray(from, from + CHUNK_BYTES))));
    }
    await sender.send(end);
    return;
  }
  const handle = await opened(file, file.content.path);
  try {
    for (let left = file.size; left > 0;) {
      const chunk = await readChunk(handle, file, Math.min(left, CHUNK_BYTES));
      left -= chunk.length;
      const data = frame(packets.data(id, chunk));
      // Sends the end of a small file along with its data, since most files are small.
      if (left === 0) await sender.send(Buffer.concat([data, end]));
      else await sender.send(data);
    }
    if (file.size === 0) await sender.send(end);
  } finally {
    await handle.close();
  }
}

const EMPTY = new Uint8Array(0);

/** Does not follow a symbolic link that has replaced the file, nor block on a pipe. */
async function opened(file: ContextFile, path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw new ContextChanged(`${file.name} cannot be read any more: ${(error as Error).message}`);
  }
}

/** Reads no more than was announced: the file may have grown. */
async function readChunk(handle: FileHandle, file: ContextFile, bytes: number): Promise<Buffer> {
  const chunk = Buffer.allocUnsafe(bytes);
  for (let read = 0; read < bytes;) {
    const { bytesRead } = await handle.read(chunk, read, bytes - read).catch((error: Error) => {
      throw new ContextChanged(`${file.name} cannot be read any more: ${error.message}`);
    });
    if (bytesRead === 0) throw new ContextChanged(`${file.name} has less than the ${file.size} bytes it had.`);
    read += bytesRead;
  }
  return chunk;
}
