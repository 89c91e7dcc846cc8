/**
 * Lets the general engine use HTTP/2 apps as if they spoke HTTP/1.1: an agent whose connections end in this process,
 * where each request becomes an HTTP/2 request.
 */
import { Agent, createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Timeouts } from '../config.ts';
import { asObject, passedTrailerFields } from '../http/field-list.ts';
import { isBodyless, TRAILER, without } from '../http/headers.ts';
import { MemorySocket } from '../net/memory-socket.ts';
import type { Call, CallFailure } from '../target/call.ts';
import type { Http2CallSink } from '../target/http2-call.ts';
import { Http2Sessions } from '../target/http2-sessions.ts';
import type { Target } from '../upstream/target.ts';
import { writeInterim } from './response.ts';

const NO_LIMIT = 2 ** 31 - 1;
/** Fields that are specific to one HTTP/1.1 connection. */
const SPECIFIC = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect']);

class TargetAgent extends Agent {
  readonly #open: () => Duplex;

  constructor(open: () => Duplex) {
    super({ keepAlive: false });
    this.#open = open;
  }

  override createConnection(): Duplex {
    return this.#open();
  }
}

export class H2cAgents {
  readonly #sessions: Http2Sessions;
  readonly #agents = new WeakMap<Target, TargetAgent>();
  readonly #targets = new WeakMap<Duplex, Target>();
  readonly #server: Server;

  constructor(timeouts: Timeouts, clock: Clock) {
    this.#sessions = new Http2Sessions(timeouts, clock);
    this.#server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
    this.#server.on('request', (req, res) => this.#forward(req, res));
  }

  /** Returns the agent of a target, whose connections serve one request each. */
  of(target: Target): Agent {
    const known = this.#agents.get(target);
    if (known) return known;
    const agent = new TargetAgent(() => this.#connect(target));
    this.#agents.set(target, agent);
    return agent;
  }

  close(): void {
    this.#sessions.close();
  }

  #connect(target: Target): Duplex {
    const [near, far] = MemorySocket.pair({ address: '', secure: false });
    this.#targets.set(far, target);
    this.#server.emit('connection', far);
    return near;
  }

  #forward(req: IncomingMessage, res: ServerResponse): void {
    const target = this.#targets.get(req.socket);
    if (target === undefined) return void res.destroy();
    const hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
    const sink = new Http1Answer(req, res);
    // The guard of the general engine has its own time limits.
    sink.begin(
      this.#sessions.start(target, { head: headOf(req), hasBody, responseHeadMs: NO_LIMIT, idleMs: NO_LIMIT }, sink),
      hasBody,
    );
    return undefined;
  }
}

function headOf({ method = '', url = '', rawHeaders, headers }: IncomingMessage): string[] {
  const head = [':method', method, ':scheme', 'http', ':authority', headers.host ?? '', ':path', url];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (!SPECIFIC.has(name)) head.push(name, rawHeaders[index + 1] ?? '');
  }
  return head;
}

/** Forwards the app's HTTP/2 response as an HTTP/1.1 response. */
class Http1Answer implements Http2CallSink {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.#req = req;
    this.#res = res;
  }

  begin(call: Call, hasBody: boolean): void {
    this.#res.on('close', () => call.abort());
    this.#res.on('drain', () => call.resume());
    if (!hasBody) return;
    this.#req.on('data', (bytes: Buffer) => {
      if (!call.write(bytes)) this.#req.pause();
    });
    this.#req.on('end', () => call.end(passedTrailerFields(this.#req.rawTrailers)));
  }

  informed(status: number, fields: readonly string[]): void {
    writeInterim(this.#res, status, fields);
  }

  answered(status: number, fields: readonly string[], isWhole: boolean): void {
    const hasNoChunks = isBodyless(this.#req.method, status) || fields.includes('content-length');
    this.#res.writeHead(status, hasNoChunks ? without(TRAILER, fields) : [...fields]);
    if (!isWhole) this.#res.flushHeaders();
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    return this.#res.write(bytes.subarray(start, end));
  }

  end(trailers: readonly string[] | null): void {
    if (trailers !== null && trailers.length > 0) this.#res.addTrailers(asObject(trailers));
    this.#res.end();
  }

  failed(reason: CallFailure, cause: unknown): void {
    const { socket } = this.#res;
    // The guard distinguishes refused and broken connections by `syscall`.
    const syscall = reason === 'refused' || reason === 'connect-timeout' ? 'connect' : 'read';
    const error = Object.assign(new Error(`${reason}: ${String(cause)}`), { syscall, code: reason });
    if (socket !== null && (socket as Duplex) instanceof MemorySocket)
      (socket as Duplex as MemorySocket).breakWith(error);
  }

  drain(): void {
    this.#req.resume();
  }
}
