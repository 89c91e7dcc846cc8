/**
 * Compresses what the app sent uncompressed: a pure decision, and a stream that passes on every chunk at once. For the
 * general engine and HTTP/2; the fast engine never gets a route that compresses.
 */
import type { Transform } from 'node:stream';
import type * as Zlib from 'node:zlib';

export type Coding = 'br' | 'zstd' | 'gzip';

/** In our order of preference: size for the client, then cost for us. */
const CODINGS: readonly Coding[] = ['br', 'zstd', 'gzip'];

/** Compressing shorter bodies gains nothing: they fit into one packet anyway. */
const MIN_BYTES = 1024;

interface Compressible {
  readonly method: string;
  /** The request's field. */
  readonly acceptEncoding: string | undefined;
  readonly status: number;
  /** The response's, as the client would get them: names and values alternate. */
  readonly headers: readonly string[];
}

interface Compression {
  /** Null: the body is not compressed. */
  readonly coding: Coding | null;
  /** Replace those of the response. */
  readonly headers: readonly string[];
}

/**
 * @param room false: choose no coding, because too many bodies are being compressed; see {@link Compressors}
 */
export function decideCompression(answer: Compressible, room = true): Compression {
  const fields = readFields(answer.headers);
  if (answer.status === 304) return { coding: null, headers: negotiated(answer.headers) };
  if (!isCompressible(answer.status, fields)) return { coding: null, headers: answer.headers };
  const coding = room ? preferred(answer.acceptEncoding) : null;
  if (coding === null) return { coding, headers: varying(answer.headers) };
  const headers = [...without(negotiated(answer.headers), REPLACED), 'Content-Encoding', coding];
  // The response to HEAD has the same fields as that to GET, and no body to compress.
  return { coding: answer.method === 'HEAD' ? null : coding, headers };
}

/** Fields that describe the body before compression. */
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

/** Integrity of the exact bytes that the app sent; compression would change them. */
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
 * Event streams are not compressed, although every chunk would go out at once: each would occupy an encoder's memory
 * for hours, to save little on small messages.
 */
function isText(contentType: string | undefined): boolean {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return type !== 'text/event-stream' && TEXT.test(type);
}

/** The client's preferred coding (RFC 9110 section 12.5.3), our preference among equals. Null: none that we support. */
function preferred(acceptEncoding: string | undefined): Coding | null {
  const weights = new Map<string, number>();
  for (const element of (acceptEncoding ?? '').toLowerCase().split(',')) {
    const [, coding, weight = '1'] =
      /^\s*([a-z0-9*-]+)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?$/.exec(element) ?? [];
    if (coding !== undefined) weights.set(coding === 'x-gzip' ? 'gzip' : coding, Number(weight));
  }
  const weightOf = (coding: string): number => weights.get(coding) ?? weights.get('*') ?? 0;
  const best = Math.max(...CODINGS.map(weightOf));
  // `identity;q=1, br;q=0.1`: the client prefers no compression.
  if (best === 0 || best < (weights.get('identity') ?? 0)) return null;
  return CODINGS.find((coding) => weightOf(coding) === best) ?? null;
}

/** Adds Vary to a response that exists in a compressed and an uncompressed form. */
function varying(headers: readonly string[]): readonly string[] {
  const vary = readFields(headers).get('vary') ?? '';
  const named = vary.split(',').map((name) => name.trim().toLowerCase());
  return named.includes('*') || named.includes('accept-encoding') ? headers : [...headers, 'Vary', 'Accept-Encoding'];
}

/** Also weakens the ETag: the compressed bytes differ from the app's (RFC 9110 section 8.8.1). */
function negotiated(headers: readonly string[]): readonly string[] {
  return [...pairs(varying(headers))].flatMap(([name, value]) =>
    name.toLowerCase() === 'etag' && value.startsWith('"') ? [name, `W/${value}`] : [name, value],
  );
}

function without(headers: readonly string[], names: ReadonlySet<string>): string[] {
  return [...pairs(headers)].filter(([name]) => !names.has(name.toLowerCase())).flat();
}

/** Responses compressed at once; further ones go out uncompressed. Each takes some 0.3 to 1 MB. */
const MAX_OPEN = 64;

/** The open compressors of a process. Limiting their number limits their memory. */
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
   * A stream that emits each chunk as soon as it comes in, so that pages that arrive in pieces are not delayed. End or
   * destroy it to free its slot.
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

/** Loaded on demand: it takes 0.4 MB, and most hosts compress nothing. */
const zlib = (): typeof Zlib => process.getBuiltinModule('node:zlib');

/** Levels that a proxy can afford per response, and windows that limit the memory of each. */
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
