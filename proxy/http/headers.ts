/** Which header fields pass the proxy, and which it sets itself. Pure functions over `rawHeaders` (name, value, name, …). */

/** RFC 9110 section 7.6.1 and RFC 9112: they speak about one connection, and each connection here is our own. */
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
 * What `Connection:` cannot take away. Dropping a framing or routing field because a client nominated it would make the
 * next server read another message than we did.
 */
const NEVER_NOMINATED = new Set(['host', 'content-length', 'transfer-encoding', 'trailer', 'expect']);

/** Set by us on every request, so whatever a client sends under these names is a claim about itself and is dropped. */
const OURS = new Set(['forwarded', 'x-real-ip', 'x-request-id', 'host', 'expect']);

/** Become CGI-like variables of their own in some servers and steer them (`Proxy`: CVE-2016-5385). */
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
 * Announces trailers, for which only chunks have room (RFC 9112 section 7.1.2). Node throws at it elsewhere, and not before it
 * writes the head, where nobody catches that.
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

/** Names that the message's own Connection fields call hop-by-hop, without those that may not be. */
function nominated(headers: readonly Pair[]): Set<string> {
  const names = headers
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(','))
    .map((token) => token.trim().toLowerCase());
  return new Set(names.filter((name) => !NEVER_NOMINATED.has(name)));
}

/** True for a field that a client may say something with. A `_` is refused since many servers fold it into `-`. */
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

/** What a route and the kind of a request change in its fields. */
interface Passage {
  /** A WebSocket handshake. */
  readonly upgrade: boolean;
  /** Lower-case names of fields that are for us alone. */
  readonly hides?: readonly string[];
  /** What of the path the app does not see. */
  readonly prefix?: string | null;
}

/** The fields of the request as the target gets it, by lower-case name (which node:http and http-proxy look for). */
export function requestHeaders(
  rawHeaders: readonly string[],
  origin: Origin,
  { upgrade, hides = [], prefix = null }: Passage,
): Record<string, string | string[]> {
  const all = pairs(rawHeaders);
  const dropped = nominated(all);
  if (upgrade || !all.some(([name]) => name.toLowerCase() === 'transfer-encoding')) dropped.add(TRAILER);
  // A Map: a field may be named like a property that every object has.
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

/** What this one connection needs. The body is framed exactly as it came to us. */
function connectionHeaders(all: readonly Pair[], upgrade: boolean): Record<string, string> {
  if (upgrade) return { connection: 'Upgrade', upgrade: 'websocket' };
  const field = (wanted: string): string => all.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';
  return {
    ...(field('transfer-encoding') === '' ? {} : { 'transfer-encoding': 'chunked' }),
    ...(/(?:^|,)\s*trailers\s*(?:,|$)/i.test(field('te')) ? { te: 'trailers' } : {}),
  };
}

/** What every request tells the app about where it came from. */
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
 * The fields of a response as the client gets it, flat as `writeHead` takes them: case, order and repetition kept.
 * Framing is left to node, but for a Content-Length that holds (RFC 9110 section 8.6: none on 101 and 204).
 */
export function responseHeaders(rawHeaders: readonly string[], status: number): string[] {
  const all = pairs(rawHeaders);
  const dropped = nominated(all);
  return all
    .filter(([name]) => {
      const key = name.toLowerCase();
      const isEmpty = status === 204 || status === 101;
      return !(HOP_BY_HOP.has(key) || dropped.has(key) || (key === 'content-length' && isEmpty));
    })
    .flat();
}

/** @param name lower-case @param fields names and values in turn */
export function without(name: string, fields: readonly string[]): string[] {
  const isDropped = (index: number): boolean => fields[index - (index % 2)]?.toLowerCase() === name;
  return fields.filter((_, index) => !isDropped(index));
}

/** RFC 9112 section 6.3: no body, whatever the fields say. @param method of the request */
export function isBodyless(method: string | undefined, status: number | undefined): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

/** The trailers that pass, as `addTrailers` takes them. */
export function passedTrailers(rawTrailers: readonly string[]): [string, string][] {
  return pairs(rawTrailers)
    .filter(([name]) => isClients(name.toLowerCase()) && !NEVER_IN_TRAILERS.has(name.toLowerCase()))
    .map(([name, value]) => [name, value]);
}

/** An id that a client or a proxy before us gave, if it can do no harm in a log. */
export function givenRequestId(value: string | string[] | undefined): string | null {
  return typeof value === 'string' && /^[A-Za-z0-9._:/+=-]{1,128}$/.test(value) ? value : null;
}
