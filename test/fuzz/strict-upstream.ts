/**
 * An upstream that accepts only what a proxy ought to send: each request under the narrowest grammar there is. Anything
 * else is a fault of the proxy.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

const MAX_HEAD_BYTES = 65_536;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.1$/;
/** A token without `_`, and a value without control characters. */
const FIELD = /^([!#$%&'*+\-.^`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;
const CHUNK = /^([0-9A-Fa-f]{1,8})\r\n/;
/** What the proxy sets, exactly once. */
const ONCE = [
  'host',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-real-ip',
  'forwarded',
  'x-request-id',
];

export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  /** As latin1. */
  readonly body: string;
}

interface Head extends Omit<StrictRequest, 'body'> {
  readonly framing: 'none' | 'chunked' | number;
}

/** What an upstream does with requests; both handlers may end the connection. */
interface Conduct {
  /** The head has been read, the body not yet. */
  head?(request: Omit<StrictRequest, 'body'>, socket: Socket): void;
  request(request: StrictRequest, socket: Socket): void;
  /** The proxy sent something that no strict server accepts. */
  fault(what: string, bytes: string): void;
}

function readFrom(socket: Socket, conduct: Conduct): void {
  const connection = new Connection(socket, conduct);
  socket.setNoDelay(true);
  // A proxy that disconnects is not at fault: its clients do so too.
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => connection.take(bytes));
}

class Connection {
  readonly #socket: Socket;
  readonly #conduct: Conduct;
  #rest = '';
  #head: Head | null = null;
  #faulty = false;

  constructor(socket: Socket, conduct: Conduct) {
    this.#socket = socket;
    this.#conduct = conduct;
  }

  take(bytes: Buffer): void {
    this.#rest += bytes.toString('latin1');
    while (!this.#faulty && this.#step());
  }

  /** @returns whether the received bytes may hold more to read */
  #step(): boolean {
    if (this.#head === null) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return this.#rest.length > MAX_HEAD_BYTES && this.#fault('a head without an end');
      const head = readHead(this.#rest.slice(0, end));
      if (typeof head === 'string') return this.#fault(head);
      this.#rest = this.#rest.slice(end + 4);
      this.#head = head;
      this.#conduct.head?.(head, this.#socket);
    }
    const body = readBody(this.#rest, this.#head.framing);
    if (body === null) return false;
    if (typeof body === 'string') return this.#fault(body);
    const { method, target, host } = this.#head;
    this.#head = null;
    this.#rest = this.#rest.slice(body.end);
    this.#conduct.request({ method, target, host, body: body.text }, this.#socket);
    return this.#rest.length > 0;
  }

  #fault(what: string): false {
    this.#faulty = true;
    this.#conduct.fault(what, this.#rest);
    this.#socket.destroy();
    return false;
  }
}

/** @returns the problem as text if it is malformed */
function readHead(text: string): Head | string {
  const [first = '', ...lines] = text.split('\r\n');
  const [, method, target] = REQUEST_LINE.exec(first) ?? [];
  if (method === undefined || !target?.startsWith('/')) return `the request line ${JSON.stringify(first)}`;
  const fields = readFields(lines);
  if (typeof fields === 'string') return fields;
  const missing = ONCE.find((name) => fields.get(name)?.length !== 1);
  if (missing !== undefined) return `${fields.get(missing)?.length ?? 0} fields ${missing}`;
  const framing = readFraming(fields, text);
  if (framing === null) return 'the framing fields';
  return { method, target, host: fields.get('host')?.[0] ?? '', framing };
}

function readFields(lines: readonly string[]): Map<string, string[]> | string {
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) return `the line ${JSON.stringify(line.slice(0, 100))}`;
    fields.set(name.toLowerCase(), [...(fields.get(name.toLowerCase()) ?? []), value]);
  }
  return fields;
}

/** Framing fields exactly as the proxy has to write them: anything another server could read differently is a hole. */
function readFraming(fields: ReadonlyMap<string, readonly string[]>, text: string): Head['framing'] | null {
  const [lengths = [], codings = []] = [fields.get('content-length'), fields.get('transfer-encoding')];
  if (lengths.length + codings.length > 1) return null;
  if (codings.length === 1) return /\r\ntransfer-encoding: ?chunked(?:\r\n|$)/i.test(text) ? 'chunked' : null;
  if (lengths.length === 0) return 'none';
  const digits = /\r\ncontent-length: ?(\d{1,15})(?:\r\n|$)/i.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** @returns null while incomplete, the problem as text if malformed */
function readBody(bytes: string, framing: Head['framing']): { text: string; end: number } | string | null {
  if (framing === 'none') return { text: '', end: 0 };
  if (framing === 'chunked') return readChunks(bytes);
  return bytes.length < framing ? null : { text: bytes.slice(0, framing), end: framing };
}

function readChunks(bytes: string): { text: string; end: number } | string | null {
  let text = '';
  let at = 0;
  for (;;) {
    const rest = bytes.slice(at, at + 12);
    const [line, size] = CHUNK.exec(rest) ?? [];
    if (line === undefined || size === undefined) {
      return rest.length < 12 && /^[0-9A-Fa-f]{0,8}\r?$/.test(rest) ? null : `the chunk line ${JSON.stringify(rest)}`;
    }
    at += line.length;
    const length = Number.parseInt(size, 16);
    if (length === 0) return readTrailers(bytes, at, text);
    if (bytes.length < at + length + 2) return null;
    text += bytes.slice(at, at + length);
    at += length;
    if (bytes.slice(at, at + 2) !== '\r\n') return 'a chunk without its line end';
    at += 2;
  }
}

function readTrailers(bytes: string, at: number, text: string): { text: string; end: number } | string | null {
  if (bytes.startsWith('\r\n', at)) return { text, end: at + 2 };
  const end = bytes.indexOf('\r\n\r\n', at);
  if (end < 0) return bytes.length - at > MAX_HEAD_BYTES ? 'trailers without an end' : null;
  const lines = bytes.slice(at, end).split('\r\n');
  const odd = lines.find(
    (line) => !FIELD.test(line) || /^(?:content-length|transfer-encoding|host|trailer):/i.test(line),
  );
  return odd === undefined ? { text, end: end + 4 } : `the trailer ${JSON.stringify(odd.slice(0, 100))}`;
}

export class StrictUpstream {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(conduct: Conduct): Promise<StrictUpstream> {
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.once('end', () => socket.end());
      readFrom(socket, conduct);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new StrictUpstream(server, sockets);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
