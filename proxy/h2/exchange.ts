/**
 * One request of an HTTP/2 client on its way to a target and back. It owns the claim and both ends: whatever happens,
 * the client sees a complete answer or a reset stream, and the claim is released once.
 */
import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { CallFailure } from '../fast/call.ts';
import type { Clock } from '../clock.ts';
import type { Ended, Outcome } from '../observe/observer.ts';
import {
  APP_TIMEOUT,
  APP_UNAVAILABLE,
  APP_UNREACHABLE,
  BODY_TOO_LARGE,
  CLIENT_TIMEOUT,
  failureAnswer,
} from '../pages.ts';
import type { Failure } from '../pages.ts';
import type { Answer } from '../policy/policy.ts';
import type { Route } from '../routing/route.ts';
import type { InFlight, StreamKind, Target } from '../upstream/target.ts';
import { breakStream, lingerOn } from './break.ts';
import { asObject, linksOf, passedTrailerFields, valueOf } from './fields.ts';
import { GRPC_UNAVAILABLE } from './grpc.ts';
import type { Follows, Leg, LegSink } from './leg.ts';
import type { Request } from './request.ts';

/** What an exchange needs of the connection that it came on. */
export interface Carrier {
  readonly clock: Clock;
  /** Asks the target. */
  ask(exchange: Exchange, target: Target): Leg;
  /** @param answered false: the answer had begun and is broken */
  failed(route: Route, target: Target | null, failure: Failure, cause: unknown, answered: boolean): void;
  /** @param code of the RST_STREAM that ended it, or 0 */
  ended(exchange: Exchange, code: number): void;
}

/** Its client has what the target gave, is getting it, or got our page or a reset. */
type Phase = 'asking' | 'answering' | 'whole' | 'failed';

export class Exchange implements InFlight, LegSink, Ended {
  stream: StreamKind | null = null;
  readonly httpVersion = '2';
  readonly engine = 'h2';
  readonly request: Request;
  readonly requestId: string;
  readonly route: Route | null;
  status = 0;
  outcome: Outcome = 'abandoned';
  appMs = 0;
  bytesIn = 0;
  bytesOut = 0;
  readonly client: ServerHttp2Stream;
  readonly #carrier: Carrier;
  readonly #startedAt: number;
  #endedAt = 0;
  #target: Target | null = null;
  #leg: Leg | null = null;
  #phase: Phase = 'asking';
  #appStatus = 0;
  #retried = false;
  #requestEnded: boolean;
  /** The target's connection takes no more of the body for now. */
  #targetFull = false;
  #clientFull = false;
  #trailers: readonly string[] = [];
  #ended = false;

  constructor(client: ServerHttp2Stream, request: Request, route: Route | null, requestId: string, carrier: Carrier) {
    this.client = client;
    this.request = request;
    this.route = route;
    this.requestId = requestId;
    this.#carrier = carrier;
    this.#startedAt = carrier.clock.monotonic();
    this.#requestEnded = !request.hasBody;
    client.on('close', () => this.#closed());
  }

  get method(): string {
    return this.request.method;
  }

  get host(): string {
    return this.request.host;
  }

  get target(): string {
    return this.request.target;
  }

  get clientAddress(): string {
    return this.request.clientAddress;
  }

  get secure(): boolean {
    return this.request.secure;
  }

  get targetId(): string | null {
    return this.#target?.id ?? null;
  }

  get durationMs(): number {
    return this.#endedAt - this.#startedAt;
  }

  /**
   * Claims a target and asks it. The route must be there.
   * @returns false when its upstream is held: then nothing has happened, and the exchange is given up
   */
  forward(): boolean {
    const { route, request } = this;
    if (route === null) return true;
    if (request.isGrpc && route.edge.appProtocol === 'h2c') this.stream = 'grpc';
    this.#target = route.upstream.claim(this, null, request);
    if (this.#target === null && route.upstream.refusal === 'held') {
      this.#ended = true;
      return false;
    }
    if (this.#target === null) this.#fail(APP_UNAVAILABLE, `no target takes requests: ${route.upstream.refusal}`);
    else {
      this.#ask(this.#target);
      if (request.hasBody) this.#pump();
    }
    return true;
  }

  /** The proxy's own answer. */
  answer({ status, headers, body }: Answer): void {
    if (this.#ended || this.client.headersSent || this.client.closed) return;
    if (this.#phase === 'asking') {
      // Nothing has gone wrong: this is the answer.
      this.#phase = 'failed';
      this.outcome = 'served';
    }
    const bytes = Buffer.from(body);
    const fields = headers.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
    this.status = status;
    this.bytesOut = this.method === 'HEAD' ? 0 : bytes.length;
    this.client.respond([':status', String(status), ...fields, 'content-length', String(bytes.length)]);
    this.#finish(bytes);
  }

  refuse(failure: Failure): void {
    this.answer(failureAnswer(failure, this.request.header('accept'), this.route?.edge.errorPages));
  }

  // InFlight

  cut(): void {
    this.#fail(APP_UNAVAILABLE, 'cut at the deadline of a drain');
  }

  dismiss(): void {
    if (this.stream === 'events' && this.#phase === 'answering') {
      this.#leg?.abort();
      this.#conclude([]);
    } else if (this.stream === 'grpc' && (this.#phase === 'asking' || this.#phase === 'answering')) {
      this.#leg?.abort();
      if (this.#phase === 'asking')
        this.#respond(200, ['content-type', 'application/grpc', ...GRPC_UNAVAILABLE], 'nothing');
      this.#conclude(GRPC_UNAVAILABLE);
    } else this.cut();
  }

  // The way to the target

  #ask(target: Target): void {
    this.#leg = this.#carrier.ask(this, target);
  }

  #pump(): void {
    const client = this.client;
    client.on('data', (chunk: Buffer) => this.#body(chunk));
    client.on('trailers', (_fields: unknown, _flags: number, raw: readonly string[]) => {
      this.#trailers = passedTrailerFields(raw);
    });
    client.on('end', () => this.#bodyEnded());
  }

  #body(chunk: Buffer): void {
    if (this.#phase !== 'asking' && this.#phase !== 'answering') return;
    this.bytesIn += chunk.length;
    const { contentLength } = this.request;
    const limit = this.route?.edge.maxBodyBytes ?? 0;
    // nghttp2 resets such a stream by itself; the framing towards the target is ours to keep.
    if (contentLength !== null && this.bytesIn > contentLength) return this.#reset(constants.NGHTTP2_PROTOCOL_ERROR);
    if (limit > 0 && this.bytesIn > limit) return this.#giveUp(BODY_TOO_LARGE);
    if (this.#leg?.write(chunk) === false) {
      this.#targetFull = true;
      this.client.pause();
    }
    return undefined;
  }

  #bodyEnded(): void {
    this.#requestEnded = true;
    // A stream that was reset ends its readable side too.
    if (this.client.aborted || (this.#phase !== 'asking' && this.#phase !== 'answering')) return;
    const { contentLength } = this.request;
    if (contentLength !== null && this.bytesIn !== contentLength) this.#reset(constants.NGHTTP2_PROTOCOL_ERROR);
    else this.#leg?.end(this.#trailers);
  }

  drain(): void {
    if (!this.#targetFull) return;
    this.#targetFull = false;
    this.client.resume();
  }

  // The way back

  information(fields: readonly string[]): void {
    const links = linksOf(fields);
    if (this.#phase !== 'asking' || this.client.closed || links.length === 0) return;
    this.client.additionalHeaders({ ':status': 103, link: links });
  }

  head(status: number, fields: readonly string[], follows: Follows): void {
    if (this.#phase !== 'asking' || this.client.closed) return;
    this.#phase = 'answering';
    this.#appStatus = status;
    this.appMs = this.#carrier.clock.monotonic() - this.#startedAt;
    if (this.stream === null && valueOf(fields, 'content-type')?.startsWith('text/event-stream'))
      this.stream = 'events';
    try {
      this.#respond(status, fields, follows);
    } catch (error) {
      // A status or field that the target may say and node does not send.
      this.#phase = 'asking';
      this.#fail(APP_UNREACHABLE, error);
    }
  }

  #respond(status: number, fields: readonly string[], follows: Follows): void {
    const client = this.client;
    const waitForTrailers = follows === 'trailers' && this.method !== 'HEAD';
    if (waitForTrailers) client.on('wantTrailers', () => client.sendTrailers(asObject(this.#trailers)));
    const options = { sendDate: false, waitForTrailers, endStream: follows === 'nothing' };
    client.respond([':status', String(status), ...fields], options);
    this.status = status;
  }

  body(bytes: Buffer): boolean {
    if (this.#phase !== 'answering') return true;
    this.bytesOut += bytes.length;
    if (this.client.write(bytes)) return true;
    if (!this.#clientFull) {
      this.#clientFull = true;
      this.client.once('drain', () => {
        this.#clientFull = false;
        this.#leg?.resume();
      });
    }
    return false;
  }

  end(trailers: readonly string[]): void {
    if (this.#phase !== 'answering') return;
    this.#phase = 'whole';
    this.#conclude(trailers);
  }

  failed(reason: CallFailure, cause: unknown): void {
    if (this.#ended || this.#phase === 'whole' || this.#phase === 'failed') return;
    if (reason === 'refused' && this.#phase === 'asking') this.#refused(cause);
    else if (reason === 'timeout' && this.#phase === 'asking' && !this.#requestEnded && !this.#targetFull) {
      this.#fail(CLIENT_TIMEOUT, cause);
    } else this.#fail(reason === 'timeout' || reason === 'connect-timeout' ? APP_TIMEOUT : APP_UNREACHABLE, cause);
  }

  /** Nobody listens at the target, so nothing was sent: another copy may have the request, whatever it is. */
  #refused(cause: unknown): void {
    const refusing = this.#target;
    refusing?.refused(this.#carrier.clock.monotonic());
    if (this.#retried || refusing === null || this.route === null || this.bytesIn > 0) {
      return this.#fail(APP_UNREACHABLE, cause);
    }
    this.#retried = true;
    refusing.withdraw(this);
    const other = this.route.upstream.claim(this, refusing, this.request);
    this.#target = other;
    return other === null || other === refusing ? this.#fail(APP_UNREACHABLE, cause) : this.#ask(other);
  }

  /** The proxy's own answer, or, when the app's has begun, a reset: nobody can take that for a complete one. */
  #fail(failure: Failure, cause: unknown): void {
    if (this.#ended || this.#phase === 'failed') return;
    const answered = !this.client.headersSent;
    const isClients = failure === CLIENT_TIMEOUT;
    this.outcome = isClients ? 'abandoned' : 'failed';
    this.#phase = 'failed';
    this.#leg?.abort();
    if (!this.client.closed && !isClients && this.route) {
      this.#carrier.failed(this.route, this.#target, failure, cause, answered);
    }
    if (answered) this.refuse(failure);
    else breakStream(this.client);
  }

  /** The client's own fault, told by an answer where there is none yet. */
  #giveUp(failure: Failure): void {
    this.#phase = 'failed';
    this.#leg?.abort();
    if (this.client.headersSent) this.#reset(constants.NGHTTP2_CANCEL);
    else this.refuse(failure);
  }

  #reset(code: number): void {
    this.#phase = 'failed';
    this.#leg?.abort();
    breakStream(this.client, code);
  }

  #conclude(trailers: readonly string[]): void {
    this.outcome = 'served';
    this.#phase = 'whole';
    this.#trailers = trailers;
    this.#finish(null);
  }

  /** Ends our side. What the client still sends is dropped, and soon it is told to stop. */
  #finish(last: Buffer | null): void {
    const { client } = this;
    if (!this.#requestEnded) lingerOn(client);
    if (last === null || last.length === 0) client.end();
    else client.end(last);
  }

  #closed(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endedAt = this.#carrier.clock.monotonic();
    const code = this.client.rstCode;
    if (code !== constants.NGHTTP2_NO_ERROR && this.outcome === 'served') this.outcome = 'abandoned';
    if (this.#phase === 'asking' || this.#phase === 'answering') this.#leg?.abort();
    this.#target?.release(this, this.outcome, this.#appStatus);
    this.#carrier.ended(this, code);
  }
}
