/**
 * Reassembles the exact tar of a layer from what an engine stores: the files, and a record of all other bytes of the
 * tar (github.com/vbatts/tar-split, tar/storage/entry.go) as gzipped JSON lines.
 */
import { createReadStream } from 'node:fs';
import { constants, type FileHandle, open, realpath } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { z } from 'zod';
import { OrkestrError } from '../../../protocol/errors.ts';
import { MIB } from '../../../protocol/size.ts';

const FILE = 1;
const SEGMENT = 2;
/** For the headers of one file; very long names and many attributes take some KiB. */
const MAX_LINE_BYTES = 16 * MIB;

const Entry = z.object({
  type: z.union([z.literal(FILE), z.literal(SEGMENT)]),
  name: z.string().optional(),
  /** base64, in place of a name that is not UTF-8. */
  name_raw: z.string().optional(),
  size: z.int().min(0).default(0),
  /** base64: the bytes of a segment, the checksum of a file. */
  payload: z.string().nullish(),
});
type Entry = z.infer<typeof Entry>;

export interface SplitTar {
  /** `tar-split.json.gz` of the layer. */
  readonly recordPath: string;
  /** Folder with the layer's files. */
  readonly filesPath: string;
}

/** Bytes of the whole tar. @throws OrkestrError ORK_IMAGE_DAMAGED */
export async function tarSize(layer: SplitTar): Promise<number> {
  let bytes = 0;
  for await (const entry of entriesOf(layer.recordPath)) {
    bytes += entry.type === SEGMENT ? Buffer.byteLength(entry.payload ?? '', 'base64') : entry.size;
  }
  return bytes;
}

/** Files up to this size are read whole, several ahead of time: opening one takes longer than reading it. */
const SMALL_BYTES = 128 * 1024;
const AHEAD = 32;
const READ_BYTES = 512 * 1024;
/** Small pieces are sent together. */
const PIECE_BYTES = 128 * 1024;

/** The tar in pieces, of which some MiB at most are in memory. @throws OrkestrError ORK_IMAGE_DAMAGED */
export async function* assembleTar(layer: SplitTar): AsyncGenerator<Buffer> {
  const files = new LayerFiles(layer.filesPath);
  const ahead: Promise<Buffer | Entry>[] = [];
  let piece: Buffer[] = [];
  let pieceBytes = 0;

  async function* next(): AsyncGenerator<Buffer> {
    const content = await ahead.shift();
    if (content === undefined) return;
    if (Buffer.isBuffer(content)) {
      piece.push(content);
      pieceBytes += content.length;
      if (pieceBytes < PIECE_BYTES) return;
    }
    if (pieceBytes > 0) yield Buffer.concat(piece);
    [piece, pieceBytes] = [[], 0];
    if (!Buffer.isBuffer(content)) yield* files.stream(content);
  }

  for await (const entry of entriesOf(layer.recordPath)) {
    const content = contentOf(entry, files);
    content.catch(() => undefined); // thrown when awaited in `next`; ignored if the reader is gone
    ahead.push(content);
    if (ahead.length >= AHEAD) yield* next();
  }
  while (ahead.length > 0) yield* next();
  if (pieceBytes > 0) yield Buffer.concat(piece);
}

/** The bytes of an entry, or the entry itself if it is a large file. */
async function contentOf(entry: Entry, files: LayerFiles): Promise<Buffer | Entry> {
  if (entry.type === SEGMENT) return Buffer.from(entry.payload ?? '', 'base64');
  return entry.size <= SMALL_BYTES ? files.read(entry) : entry;
}

async function* entriesOf(path: string): AsyncGenerator<Entry> {
  const file = createReadStream(path);
  const text = createGunzip();
  file.on('error', (error) => text.destroy(error)); // raises the error in the reader of `text`
  let rest = '';
  try {
    for await (const chunk of file.pipe(text).setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE_BYTES) throw new Error('a line without end');
      for (const line of lines) yield Entry.parse(JSON.parse(line));
    }
    if (rest.trim() !== '') yield Entry.parse(JSON.parse(rest));
  } catch (cause) {
    throw damaged(`${path} cannot be read`, cause);
  } finally {
    file.destroy();
    text.destroy();
  }
}

/** Reads files of one folder and never outside it: the names come from an untrusted archive. */
class LayerFiles {
  readonly #root: Buffer;
  /** Folder of the last file, known to be reached without symbolic links. Consecutive files usually share it. */
  #folder: Buffer | null = null;

  constructor(root: string) {
    this.#root = Buffer.from(root);
  }

  async read(entry: Entry): Promise<Buffer> {
    if (entry.size === 0) return Buffer.alloc(0);
    const pieces: Buffer[] = [];
    for await (const piece of this.stream(entry)) pieces.push(piece);
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  }

  async *stream(entry: Entry): AsyncGenerator<Buffer> {
    const path = this.#pathOf(entry);
    let file: FileHandle | undefined;
    try {
      await this.#checkFolder(path);
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      for (let left = entry.size; left > 0;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(left, READ_BYTES)));
        if (bytesRead === 0) throw new Error(`${left} bytes are missing`);
        left -= bytesRead;
        yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
      }
    } catch (cause) {
      throw damaged(`${path.toString()} cannot be read`, cause);
    } finally {
      await file?.close();
    }
  }

  #pathOf({ name, name_raw: raw }: Entry): Buffer {
    const bytes = raw === undefined ? Buffer.from(name ?? '') : Buffer.from(raw, 'base64');
    const parts = bytes.toString('latin1').split('/');
    if (bytes.includes(0) || parts.includes('..')) throw damaged(`${bytes.toString()} leads out of its layer`);
    return Buffer.concat([this.#root, Buffer.from('/'), bytes]);
  }

  async #checkFolder(path: Buffer): Promise<void> {
    const folder = path.subarray(0, path.lastIndexOf(0x2f));
    if (this.#folder?.equals(folder) === true) return;
    const real = await realpath(folder, { encoding: 'buffer' });
    const root = await realpath(this.#root, { encoding: 'buffer' });
    const wanted = Buffer.concat([root, folder.subarray(this.#root.length)]);
    if (!real.equals(normal(wanted))) throw new Error('a link in its path');
    this.#folder = folder;
  }
}

/** `a/./b//c/` is `a/b/c`. */
const normal = (path: Buffer): Buffer => {
  const parts = path.toString('latin1').split('/');
  return Buffer.from(`/${parts.filter((part) => part !== '' && part !== '.').join('/')}`, 'latin1');
};

/** For any inconsistency in the engine's store; a cause that is an OrkestrError is returned as it is. */
export function damaged(what: string, cause?: unknown): OrkestrError {
  if (cause instanceof OrkestrError) return cause;
  const evidence = cause instanceof Error ? [cause.message] : [];
  return new OrkestrError('ORK_IMAGE_DAMAGED', `The image is damaged in the engine's store: ${what}.`, {
    evidence,
    cause,
  });
}
