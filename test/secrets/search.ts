/** Searches for canaries in bytes of any length. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { type Canary, spellingsOf } from './canaries.ts';

interface Needle {
  readonly canary: string;
  readonly bytes: Buffer;
}

const GZIP = Buffer.from([0x1f, 0x8b]);

export class Search {
  readonly #needles: readonly Needle[];
  readonly #longest: number;

  constructor(canaries: readonly Canary[]) {
    this.#needles = canaries.flatMap((canary) =>
      spellingsOf(canary).map((spelling) => ({ canary: canary.name, bytes: Buffer.from(spelling) })),
    );
    this.#longest = Math.max(...this.#needles.map(({ bytes }) => bytes.length));
  }

  /** Names of the canaries found. */
  inBytes(bytes: Buffer): Set<string> {
    return new Set(this.#needles.filter((needle) => bytes.includes(needle.bytes)).map(({ canary }) => canary));
  }

  inText(text: string): Set<string> {
    return this.inBytes(Buffer.from(text));
  }

  async inStream(stream: AsyncIterable<Uint8Array>): Promise<Set<string>> {
    const found = new Set<string>();
    let end: Buffer = Buffer.alloc(0);
    for await (const chunk of stream) {
      const bytes = Buffer.concat([end, chunk]);
      for (const canary of this.inBytes(bytes)) found.add(canary);
      end = bytes.subarray(Math.max(0, bytes.length - this.#longest + 1));
    }
    return found;
  }

  /** A file that disappears meanwhile contains nothing. */
  async inFile(path: string): Promise<Set<string>> {
    try {
      return await this.inStream(createReadStream(path, { highWaterMark: 1_048_576 }));
    } catch (error) {
      if (['ENOENT', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return new Set();
      throw error;
    }
  }

  /** A tar of `docker save`: manifests, configuration, and layers, which newer engines compress. */
  async inArchive(archive: Readable): Promise<Set<string>> {
    const found = new Set<string>();
    for await (const entry of archive.pipe(extract())) {
      for (const canary of await this.inStream(unpacked(entry as unknown as AsyncIterable<Buffer>))) found.add(canary);
    }
    return found;
  }
}

async function* unpacked(entry: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const chunks = entry[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return;
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  };
  if (!first.value.subarray(0, 2).equals(GZIP)) yield* whole();
  else {
    const gunzip = createGunzip();
    const filled = pipeline(whole(), gunzip);
    yield* gunzip as AsyncIterable<Buffer>;
    await filled;
  }
}
