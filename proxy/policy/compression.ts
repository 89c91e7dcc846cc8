/**
 * Compression of what the app sent plain. A pure decision, and a stream that passes every chunk on at once. For the
 * general engine and HTTP/2; the fast engine never sees a route that compresses.
 */
import type { Transform } from 'node:stream';
import type * as Zlib from 'node:zlib';

export type Coding = 'br' | 'zstd' | 'gzip';

/** In the order of our own liking: size for the client, then cost for us. */
const CODINGS: readonly Coding[] = ['br', 'zstd', 'gzip'];

/** Shorter bodies gain nothing: they fit one packet anyway. */
const MIN_BYTES = 1024;

interface Compressible {
  readonly method: string;
  /** Of the request. */
  readonly acceptEncoding: string | undefined;
  readonly status: number;
  /** Of the response, as the client would get them: names and values in turn. */
  readonly headers: readonly string[];
}

interface Compression {
  /** Null: the body goes on as it is. */
  readonly coding: Coding | null;
  /** In place of those of the response. */
  readonly headers: readonly string[];
}

/**
 * @param room false: no coding is chosen, since too many bodies are being compressed; see {@link Compressors}
 */
export function decideCompression(answer: Compressible, room = true): Compression {
  const fields = readFields(answer.headers);
  if (answer.status === 304) return { coding: null, headers: negotiated(answer.headers) };
  if (!isCompressible(answer.status, fields)) return { coding: null, headers: answer.headers };
  const coding = room ? preferred(answer.acceptEncoding) : null;
  if (coding === null) return { coding, headers: varying(answer.headers) };
  const headers = [...without(negotiated(answer.headers), REPLACED), 'Content-Encoding', coding];
  // The answer to HEAD has the fields of GET's, and nothing to compress.
  return { coding: answer.method === 'HEAD' ? null : coding, headers };
}

/** They speak of the body before it was compressed. */
const REPLACED = new Set(['content-length', 'accept-ranges', 'content-encoding']);

type Fields = ReadonlyMap<string, string>;

function readFields(headers: readonly string[]): Fields {
  const fields = new Map<string, string>();
  for (const [name, value] of pairs(headers)) {
    const before = fields.get(name.toLowerCase());
    fields.set(name.toLowerCase(), before === undefined ? value : `${before}, ${value}`);
  }
  return fields;
}

function* pairs(headers: readonly string[]): Generator<[name: string, value: string]> {
  for (let index = 0; index + 1 < headers.length; index += 2) yield [headers[index] ?? '', headers[index + 1] ?? ''];
}

/** Integrity of the very bytes that the app sent, which would be others. */
const DIGESTS = ['content-digest', 'digest', 'content-md5'];

function isCompressible(status: number, fields: Fields): boolean {
  if (status < 200 || status === 204 || status === 205 || status === 206 || fields.has('content-range')) return false;
  if (!isText(fields.get('content-type')) || DIGESTS.some((name) => fields.has(name))) return false;
  const encoding = fields.get('content-encoding') ?? 'identity';
  if (encoding.trim().toLowerCase() !== 'identity') return false;
  if (/(?:^|[,\s])no-transform(?:[,\s;]|$)/i.test(fields.get('cache-control') ?? '')) return false;
  const length = fields.get('content-length');
  return length === undefined || Number(length) >= MIN_BYTES;
}

const TEXT =
  /^(?:text\/[a-z0-9.+-]+|image\/(?:svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)|font\/(?:ttf|otf)|application\/(?:json|javascript|ecmascript|xml|wasm|x-ndjson|graphql|x-javascript|rtf|(?:[a-z0-9.-]+\+(?:json|xml|text))))$/;

/**
 * Event streams are left as they are, although every chunk would go out at once: each would hold an encoder's memory
 * for hours, to save little on messages that are small.
 */
function isText(contentType: string | undefined): boolean {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return type !== 'text/event-stream' && TEXT.test(type);
}

/** The coding that the client likes best (RFC 9110 section 12.5.3), ours among equals. Null: none that we know. */
function preferred(acceptEncoding: string | undefined): Coding | null {
  const weights = new Map<string, number>();
  for (const element of (acceptEncoding ?? '').toLowerCase().split(',')) {
    const [, coding, weight = '1'] =
      /^\s*([a-z0-9*-]+)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?$/.exec(element) ?? [];
    if (coding !== undefined) weights.set(coding === 'x-gzip' ? 'gzip' : coding, Number(weight));
  }
  const weightOf = (coding: string): number => weights.get(coding) ?? weights.get('*') ?? 0;
  const best = Math.max(...CODINGS.map(weightOf));
  // `identity;q=1, br;q=0.1`: the client would rather have it plain.
  if (best === 0 || best < (weights.get('identity') ?? 0)) return null;
  return CODINGS.find((coding) => weightOf(coding) === best) ?? null;
}

/** Headers of a response of which there is a compressed and a plain form. */
function varying(headers: readonly string[]): readonly string[] {
  const vary = readFields(headers).get('vary') ?? '';
  const named = vary.split(',').map((name) => name.trim().toLowerCase());
  return named.includes('*') || named.includes('accept-encoding') ? headers : [...headers, 'Vary', 'Accept-Encoding'];
}

/** The same, of the form that is not the app's: its bytes differ, so its ETag can only be weak (RFC 9110 section 8.8.1). */
function negotiated(headers: readonly string[]): readonly string[] {
  return [...pairs(varying(headers))].flatMap(([name, value]) =>
    name.toLowerCase() === 'etag' && value.startsWith('"') ? [name, `W/${value}`] : [name, value],
  );
}

function without(headers: readonly string[], names: ReadonlySet<string>): string[] {
  return [...pairs(headers)].filter(([name]) => !names.has(name.toLowerCase())).flat();
}

/** Responses compressed at once; more go out plain. Each takes some 0.3 to 1 MB. */
const MAX_OPEN = 64;

/** The open compressors of a process: their number is what bounds their memory. */
export class Compressors {
  readonly #max: number;
  #open = 0;

  constructor(max: number = MAX_OPEN) {
    this.#max = max;
  }

  get hasRoom(): boolean {
    return this.#open < this.#max;
  }

  /**
   * A stream that gives out each chunk as soon as it came in, so that pages that come in pieces are not held back. Its
   * place is free again when it is closed: end it or destroy it.
   */
  make(coding: Coding): Transform {
    const stream = STREAMS[coding](zlib());
    this.#open += 1;
    stream.once('close', () => {
      this.#open -= 1;
    });
    return stream;
  }
}

/** Most hosts compress nothing, and it takes 0.4 MB. */
const zlib = (): typeof Zlib => process.getBuiltinModule('node:zlib');

/** Levels that a proxy can afford per response, and windows that bound the memory of one. */
const STREAMS: Readonly<Record<Coding, (zlib: typeof Zlib) => Transform>> = {
  br: ({ createBrotliCompress, constants }) =>
    createBrotliCompress({
      flush: constants.BROTLI_OPERATION_FLUSH,
      params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 17 },
    }),
  zstd: ({ createZstdCompress, constants }) =>
    createZstdCompress({
      flush: constants.ZSTD_e_flush,
      params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_windowLog]: 17 },
    }),
  gzip: ({ createGzip, constants }) => createGzip({ flush: constants.Z_SYNC_FLUSH, level: 5 }),
};
