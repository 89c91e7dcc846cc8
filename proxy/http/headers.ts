/**
 * The header fields that the proxy forwards, and those that it sets itself. Pure functions over `rawHeaders` (name,
 * value, name, …).
 */

/** Fields about one connection (RFC 9110 section 7.6.1 and RFC 9112), which are never forwarded. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/**
 * Fields that `Connection:` cannot remove. Without a framing or routing field that a client nominated, the next server
 * would read another message than we did.
 */
const NEVER_NOMINATED = new Set(['host', 'content-length', 'transfer-encoding', 'trailer', 'expect']);

/** Set by the proxy itself: what a client sends under these names is an unverified claim, and is dropped. */
const OURS = new Set(['forwarded', 'x-real-ip', 'x-request-id', 'host', 'expect']);

/** Fields that some servers turn into CGI-like variables with an effect (`Proxy`: CVE-2016-5385). */
const DANGEROUS = new Set(['proxy']);

/** RFC 9110 section 6.5.1: fields that would change framing, routing, access or meaning when a server merges trailers. */
const NEVER_IN_TRAILERS = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'host',
  'location',
  'set-cookie',
  'trailer',
]);

/**
 * Announces trailers, which only the chunked coding can carry (RFC 9112 section 7.1.2). Elsewhere node throws at it,
 * and only when it writes the head, where nobody catches the error.
 */
export const TRAILER = 'trailer';

type Pair = readonly [name: string, value: string];

function pairs(rawHeaders: readonly string[]): Pair[] {
  const found: Pair[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    found.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  return found;
}

/** The names that the message's Connection fields declare hop-by-hop, except those that may not be. */
function nominated(headers: readonly Pair[]): Set<string> {
  const names = headers
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(','))
    .map((token) => token.trim().toLowerCase());
  return new Set(names.filter((name) => !NEVER_NOMINATED.has(name)));
}

/** True for a field that a client may set. Names with `_` are dropped since many servers fold it into `-`. */
export function isClients(lowerName: string): boolean {
  return !(
    lowerName.includes('_') ||
    HOP_BY_HOP.has(lowerName) ||
    OURS.has(lowerName) ||
    DANGEROUS.has(lowerName) ||
    lowerName.startsWith('x-forwarded-')
  );
}

interface Origin {
  /** The client's address, without `::ffff:`. */
  readonly address: string;
  readonly protocol: 'http' | 'https';
  /** Host and port as the client wrote them. */
  readonly authority: string;
  readonly requestId: string;
}

/** How the route and the kind of request affect the forwarded fields. */
interface Passage {
  /** The request is a WebSocket handshake. */
  readonly upgrade: boolean;
  /** Lower-case names of fields that are meant for the proxy only. */
  readonly hides?: readonly string[];
  /** The path prefix that is hidden from the app. */
  readonly prefix?: string | null;
}

/** The fields of the request to the target, by lower-case name (node:http and http-proxy look them up that way). */
export function requestHeaders(
  rawHeaders: readonly string[],
  origin: Origin,
  { upgrade, hides = [], prefix = null }: Passage,
): Record<string, string | string[]> {
  const all = pairs(rawHeaders);
  const dropped = nominated(all);
  if (upgrade || !all.some(([name]) => name.toLowerCase() === 'transfer-encoding')) dropped.add(TRAILER);
  // A Map, since a field may have the name of a property that every object has.
  const headers = new Map<string, string | string[]>();
  for (const [name, value] of all) {
    const key = name.toLowerCase();
    if (!isClients(key) || dropped.has(key) || hides.includes(key)) continue;
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : [before, value].flat());
  }
  if (prefix !== null) headers.set('x-forwarded-prefix', prefix);
  return { ...Object.fromEntries(headers), ...connectionHeaders(all, upgrade), ...originHeaders(origin) };
}

/** The hop-by-hop fields of the connection to the target. The body is framed as it came in. */
function connectionHeaders(all: readonly Pair[], upgrade: boolean): Record<string, string> {
  if (upgrade) return { connection: 'Upgrade', upgrade: 'websocket' };
  const field = (wanted: string): string => all.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';
  return {
    ...(field('transfer-encoding') === '' ? {} : { 'transfer-encoding': 'chunked' }),
    ...(/(?:^|,)\s*trailers\s*(?:,|$)/i.test(field('te')) ? { te: 'trailers' } : {}),
  };
}

/** The fields that tell the app where the request came from. */
export function originHeaders({ address, protocol, authority, requestId }: Origin): Record<string, string> {
  const node = address.includes(':') ? `"[${address}]"` : address;
  return {
    host: authority,
    'x-forwarded-for': address,
    'x-forwarded-proto': protocol,
    'x-forwarded-host': authority,
    'x-real-ip': address,
    forwarded: `for=${node};host="${authority}";proto=${protocol}`,
    'x-request-id': requestId,
  };
}

/**
 * The fields of the response to the client, as a flat list for `writeHead`: case, order and repetition are kept. Node
 * does the framing, except for a Content-Length that applies (RFC 9110 section 8.6: none on 1xx and 204).
 */
export function responseHeaders(rawHeaders: readonly string[], status: number): string[] {
  const all = pairs(rawHeaders);
  const dropped = nominated(all);
  return all
    .filter(([name]) => {
      const key = name.toLowerCase();
      const isEmpty = status === 204 || status < 200;
      return !(HOP_BY_HOP.has(key) || dropped.has(key) || (key === 'content-length' && isEmpty));
    })
    .flat();
}

/** @param name lower-case @param fields alternating names and values */
export function without(name: string, fields: readonly string[]): string[] {
  const isDropped = (index: number): boolean => fields[index - (index % 2)]?.toLowerCase() === name;
  return fields.filter((_, index) => !isDropped(index));
}

/** True for a response without a body whatever its fields say (RFC 9112 section 6.3). @param method of the request */
export function isBodyless(method: string | undefined, status: number | undefined): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

/** The trailers that may be forwarded, as `addTrailers` takes them. */
export function passedTrailers(rawTrailers: readonly string[]): [string, string][] {
  return pairs(rawTrailers)
    .filter(([name]) => isClients(name.toLowerCase()) && !NEVER_IN_TRAILERS.has(name.toLowerCase()))
    .map(([name, value]) => [name, value]);
}

/** The request id that a client or a proxy in front of us set, if it is safe to log. */
export function givenRequestId(value: string | string[] | undefined): string | null {
  return typeof value === 'string' && /^[A-Za-z0-9._:/+=-]{1,128}$/.test(value) ? value : null;
}
