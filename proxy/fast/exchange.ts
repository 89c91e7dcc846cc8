/**
 * One request on a client connection, from its head to the last byte of the response. One object serves all requests of
 * its connection in turn, to allocate as little as possible per request.
 */
import { lastChunk } from '../http/chunked.ts';
import { fieldLines } from '../http/field-list.ts';
import {
  APP_TIMEOUT,
  APP_UNAVAILABLE,
  APP_UNREACHABLE,
  BODY_TOO_LARGE,
  CLIENT_TIMEOUT,
  failureAnswer,
  refused,
} from '../http/pages.ts';
import type { Answer, Failure } from '../http/pages.ts';
import type { Wire } from '../net/outlet.ts';
import type { Route } from '../routing/route.ts';
import type { Call, CallFailure, CallRequest, CallSink, RequestFraming } from '../target/call.ts';
import type { ResponseFraming, ResponseHead } from '../target/response-head.ts';
import type { InFlight, Outcome, StreamKind, Target } from '../upstream/target.ts';
import { answerBytes } from './answer.ts';
import type { ClientConnection, Shared } from './client.ts';
import type { RequestHead } from './head.ts';
import { Outgoing } from './outgoing.ts';
import { FastRecord } from './record.ts';
import { RequestBody } from './request-body.ts';
import { compactResponseHead, endHead, SWITCHED, writeRequestHead } from './rewrite.ts';
import type { Tunnel } from './tunnel.ts';

const CHALLENGE = '/.well-known/acme-challenge/';
/** Returned by {@link FastExchange.begin} when the general engine must serve the request. */
export const HAND_OVER = -1;
const BAD_BODY = refused(400, 'The body of the request is not framed as its head says.');

/**
 * `idle`: no request. `asking`: awaiting the response head. `answering`: the response head was sent. `ending`: the last
 * bytes of the response are being flushed.
 */
type Phase = 'idle' | 'asking' | 'answering' | 'ending';

export class FastExchange extends FastRecord implements CallSink, InFlight {
  stream: StreamKind | null = null;
  readonly #client: ClientConnection;
  readonly #body = new RequestBody();
  #phase: Phase = 'idle';
  #route: Route | null = null;
  #to: Target | null = null;
  #call: Call | null = null;
  #request: CallRequest | null = null;
  /** Replaces the call once a WebSocket is established. */
  #tunnel: Tunnel | null = null;
  #wantsHtml = false;
  #close = false;
  #framing: ResponseFraming = 'none';
  #dismissed = false;
  /** While `ending`: how it ends. */
  #outcome: Outcome = 'served';
  readonly #out: Outgoing;

  constructor(client: ClientConnection, shared: Shared) {
    super(client.peer, shared);
    this.#client = client;
    this.#out = new Outgoing(client);
  }

  get isIdle(): boolean {
    return this.#phase === 'idle';
  }

  /** True when the request has no body, or its body was read to the end. */
  get hasBody(): boolean {
    return this.#body.done;
  }

  /** False while the target applies back-pressure to the request body. */
  get goesOn(): boolean {
    return this.#body.goesOn;
  }

  /** True while the exchange awaits the response head. */
  get isAsking(): boolean {
    return this.#phase === 'asking';
  }

  get bytesIn(): number {
    return this.#body.bytes;
  }

  get targetId(): string | null {
    return this.#to?.id ?? null;
  }

  /**
   * Starts a request.
   * @param bytes hold the head and, up to `end`, what followed it
   * @returns the offset after what was consumed, or {@link HAND_OVER}: the exchange is then still idle
   */
  begin(bytes: Buffer, head: RequestHead, end: number): number {
    this.arrived(bytes, head, this.#client.speaksForOthers ? this.#client.peer : null);
    const route = this.#find(bytes, head);
    if (route === null || route.general) return HAND_OVER;
    const { policy, upstream } = route;
    // The general engine judges a held request itself. Judging it here too would count it twice against a rate limit.
    if (policy !== null && upstream.refusal === 'held') return HAND_OVER;
    const refusal = policy === null ? null : policy.judge(this);
    this.#to = refusal === null ? upstream.claim(this, null, this) : null;
    if (refusal === null && this.#to === null && upstream.refusal === 'held') return HAND_OVER;
    this.#route = route;
    this.#reset(bytes, head);
    if (this.#to !== null) return this.#send(bytes, head, end);
    this.#close ||= !this.#body.done;
    if (refusal === null) this.#fail(APP_UNAVAILABLE, `no target takes requests (${upstream.refusal})`);
    else this.#answer(refusal, 'served');
    return head.end;
  }

  /** Consumes more of the request body. @returns the offset after it */
  take(bytes: Buffer, start: number, end: number): number {
    if (this.#call === null) return end;
    const limit = this.#route?.edge.maxBodyBytes ?? 0;
    const after = this.#body.take(bytes, start, end, this.#call, limit);
    this.#checkBody(limit);
    return after;
  }

  /** The client closed its connection. */
  abandon(): void {
    if (this.#phase === 'idle') return;
    this.#call?.abort();
    this.#ended('abandoned');
  }

  /** The client has stopped sending the request body or reading the response. */
  stalled(): void {
    if (this.#body.done || this.#phase !== 'asking') {
      this.#client.destroy(this.#framing === 'close');
      return;
    }
    this.#fail(CLIENT_TIMEOUT, 'the body of the request does not come');
  }

  /** The kernel has taken everything written so far. */
  flushed(): void {
    const call = this.#call;
    if (this.#phase === 'ending') this.#ended(this.#outcome);
    call?.resume();
  }

  cut(): void {
    if (this.#tunnel !== null) {
      this.#tunnel.end();
      this.#ended('served');
    } else this.#fail(APP_UNAVAILABLE, 'cut at the deadline of a drain');
  }

  dismiss(): void {
    this.#dismissed = true;
    if (this.#tunnel !== null) this.#tunnel.dismiss();
    else this.#tryDismiss();
  }

  information(head: ResponseHead): void {
    this.#client.write(head.bytes, compactResponseHead(head, null), head.end);
  }

  head(head: ResponseHead): void {
    this.answered(head.status);
    this.#phase = 'answering';
    this.#framing = head.framing;
    if (head.isEventStream) this.stream = 'events';
    // After a response to half a request, the rest of the body would be read as the next request.
    if (this.shared.closing || head.framing === 'close' || !this.#body.done) this.#close = true;
    const start = compactResponseHead(head, this.shared.date.linesFor(head, this.#close));
    this.#out.begin(head.bytes, start, head.end);
  }

  body(buffer: Buffer, start: number, end: number): boolean {
    this.bytesOut += end - start;
    this.#out.add(buffer, start, end);
    return true;
  }

  flush(): boolean {
    const goesOn = this.#out.flush();
    if (this.#dismissed) this.#tryDismiss();
    return goesOn;
  }

  end(trailers: readonly string[] | null): void {
    // The target connection may carry another request while the client still drains the last bytes of this response.
    this.#call = null;
    let isFlushed = this.#out.flush();
    if (trailers !== null && this.#framing === 'chunked')
      isFlushed = this.#say(Buffer.from(`${fieldLines(trailers)}\r\n`, 'latin1'));
    this.#finish(isFlushed, 'served');
  }

  failed(reason: CallFailure, cause: unknown): void {
    const isUnreached = reason === 'refused' || reason === 'connect-timeout';
    if (isUnreached && this.#tryOther()) return;
    if (reason === 'timeout' && !this.#body.done && this.#body.goesOn) this.#fail(CLIENT_TIMEOUT, cause);
    else this.#fail(reason === 'timeout' || reason === 'connect-timeout' ? APP_TIMEOUT : APP_UNREACHABLE, cause);
  }

  drain(): void {
    this.#body.goesOn = true;
    this.#client.resume();
  }

  /** Null: the general engine must serve the request. */
  #find(bytes: Buffer, head: RequestHead): Route | null {
    const { plane, terminator } = this.shared.context;
    if (terminator?.challenging === true && this.target.startsWith(CHALLENGE)) return null;
    return this.routes.find(bytes, head, this.asker, plane);
  }

  #reset(bytes: Buffer, head: RequestHead): void {
    this.began(bytes, head);
    this.stream = null;
    this.#phase = 'asking';
    this.#dismissed = false;
    // Bytes that a client sends before its WebSocket is accepted would be read as a request.
    this.#close = head.close || head.isHandshake;
    this.#framing = 'none';
    this.#out.clear();
    this.#body.begin(head.framing, head.contentLength);
    this.#wantsHtml = head.wantsHtml;
  }

  #send(bytes: Buffer, head: RequestHead, end: number): number {
    const { pools } = this.shared;
    const out = pools.scratch;
    const named = writeRequestHead(bytes, head, this.routes.origin, out);
    const length = endHead(out, this.writeId(out, named));
    const first = this.#body.takeFirst(Math.min(end - head.end, out.length - length));
    if (first > 0) bytes.copy(out, length, head.end, head.end + first);
    this.#request = this.#requestOf(head, out.subarray(0, length + first));
    const call = pools.start(this.#request, this);
    this.#call = call;
    if (this.#body.done) {
      call.end();
      return head.end + first;
    }
    const after = head.end + first;
    return after === end ? after : this.take(bytes, after, end);
  }

  #requestOf({ method, framing, isHandshake }: RequestHead, head: Buffer): CallRequest {
    const { responseHeadMs, idleMs } = this.#route as Route;
    return {
      target: this.#to as Target,
      head,
      framing: framing satisfies RequestFraming,
      isHead: method === 'HEAD',
      idempotent: method === 'GET' || method === 'HEAD' || method === 'OPTIONS',
      responseHeadMs,
      idleMs,
      raw: true,
      // TLS copies its input, record by record.
      bulk: !this.#client.peer.secure,
      switched: isHandshake ? (wire, answer, end) => this.#switched(wire, answer, end) : null,
    };
  }

  /** The target has switched to WebSocket. @param end of the bytes read together with its response head */
  #switched(wire: Wire, head: ResponseHead, end: number): void {
    this.answered(head.status);
    this.forgetHead();
    this.#phase = 'answering';
    this.stream = 'websocket';
    this.#call = null;
    this.#request = null;
    const behind = head.end;
    this.#client.write(head.bytes, compactResponseHead(head, SWITCHED), behind);
    this.#tunnel = this.#client.tie(wire, (this.#route as Route).idleMs, () => this.#ended('served'));
    if (!this.#tunnel.fromTarget(head.bytes, behind, end)) wire.socket.pause();
    if (this.#dismissed) this.#tunnel.dismiss();
  }

  #checkBody(limit: number): void {
    if (this.#body.bad) this.#fail(BAD_BODY, 'the framing of the request is broken');
    else if (limit > 0 && this.#body.bytes > limit) this.#fail(BODY_TOO_LARGE, `more than ${limit} bytes`);
  }

  /** The target refused the connection, so nothing was sent: another container of the app may serve the request. */
  #tryOther(): boolean {
    const refusing = this.#to;
    const request = this.#request;
    const unsent = this.#call?.unsent() ?? null;
    refusing?.refused(this.shared.context.clock.monotonic());
    if (refusing === null || request === null || unsent === null || this.#route === null) return false;
    refusing.withdraw(this);
    const other = this.#route.upstream.claim(this, refusing, this);
    this.#to = other ?? refusing;
    if (other === null || other === refusing) return false;
    this.#request = { ...request, target: other, head: unsent };
    this.#call = this.shared.pools.start(this.#request, this);
    return true;
  }

  /**
   * Sends an error page, or, when the app's response has begun, breaks the connection so that the client cannot take
   * the response for complete.
   */
  #fail(failure: Failure, cause: unknown): void {
    if (this.#phase === 'idle') return;
    const isOurs = failure.code === 'ORK_INVALID' || failure.code === 'ORK_TOO_LARGE';
    const { context } = this.shared;
    const upstream = (this.#route as Route).upstream;
    this.#call?.abort();
    if (!isOurs) {
      upstream.countFailure();
      context.failures.record(upstream.id, this.targetId, failure, cause);
    }
    const outcome = isOurs ? 'abandoned' : 'failed';
    if (this.#phase === 'asking') {
      this.#close ||= isOurs || !this.#body.done || this.shared.closing;
      const pages = this.#route?.edge.errorPages;
      this.#answer(failureAnswer(failure, this.#wantsHtml ? 'text/html' : undefined, pages), outcome);
      return;
    }
    this.#client.destroy(this.#framing === 'close');
    this.#ended(outcome);
  }

  #answer(answer: Answer, outcome: Outcome): void {
    this.status = answer.status;
    const bytes = answerBytes(answer, this.shared.date.text, this.#close, this.method === 'HEAD');
    this.bytesOut = this.method === 'HEAD' ? 0 : Buffer.byteLength(answer.body);
    this.#call = null;
    this.#finish(this.#say(bytes), outcome);
  }

  /**
   * Everything was written. The next request waits until the kernel has taken it: otherwise a client that sends requests
   * and reads nothing would fill the memory with answers.
   */
  #finish(isFlushed: boolean, outcome: Outcome): void {
    this.#outcome = outcome;
    if (isFlushed) this.#ended(outcome);
    else this.#phase = 'ending';
  }

  /** Ends an event stream at a chunk boundary, where it can end cleanly; before that, `flush` tries again. */
  #tryDismiss(): void {
    if (this.#phase !== 'answering' || this.#call === null) return;
    if (this.#framing === 'chunked') {
      if (!this.#call.isBetweenChunks) return;
      this.#say(lastChunk([]));
    } else if (this.#framing !== 'close') {
      this.cut();
      return;
    }
    this.#call.abort();
    this.#close = true;
    this.#ended('served');
  }

  #say(bytes: Buffer): boolean {
    return this.#client.write(bytes, 0, bytes.length);
  }

  #ended(outcome: Outcome): void {
    if (this.#phase === 'idle') return;
    this.#phase = 'idle';
    if (this.#tunnel !== null) {
      this.#body.bytes = this.#tunnel.bytesIn;
      this.bytesOut = this.#tunnel.bytesOut;
    }
    this.concluded(outcome);
    this.#to?.release(this, outcome, this.appMs > 0 ? this.status : 0);
    this.#route?.metrics.ended(this);
    this.#to = null;
    this.#route = null;
    this.#call = null;
    this.#request = null;
    this.#tunnel = null;
    this.#out.clear();
    this.forgetHead();
    this.#client.next(this.#close);
  }
}
