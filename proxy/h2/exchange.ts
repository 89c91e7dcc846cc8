/**
 * One request of an HTTP/2 client on its way to a target and back. The exchange owns the claim and both ends: whatever
 * happens, the client sees a complete response or a reset stream, and the claim is released once.
 */
import type { Context } from '../engine/context.ts';
import { RequestRecord } from '../engine/request-record.ts';
import { isTooSlow } from '../http/body-rate.ts';
import type { DateLine } from '../http/date-line.ts';
import { passedTrailerFields, withLowerNames } from '../http/field-list.ts';
import { GRPC_UNAVAILABLE } from '../http/grpc.ts';
import {
  APP_TIMEOUT,
  APP_UNAVAILABLE,
  APP_UNREACHABLE,
  BODY_TOO_LARGE,
  CLIENT_TIMEOUT,
  failureAnswer,
} from '../http/pages.ts';
import type { Answer, Failure } from '../http/pages.ts';
import type { Route } from '../routing/route.ts';
import type { Call, CallFailure, CallSink } from '../target/call.ts';
import type { Http2CallSink } from '../target/http2-call.ts';
import type { ResponseHead } from '../target/response-head.ts';
import type { InFlight, StreamKind, Target } from '../upstream/target.ts';
import { addPassed } from './answer-fields.ts';
import type { Request } from './request.ts';
import type { ServerStream, StreamSink } from './stream.ts';
import { CODE } from './wire/codes.ts';
import type { FieldBlock } from './wire/field-block.ts';

/** The interface of the connection to its exchanges. */
export interface Carrier {
  readonly context: Context;
  /** The block in which heads and trailers are built. */
  readonly block: FieldBlock;
  readonly date: DateLine;
  /** Sends the request to the target. */
  ask(exchange: Exchange, target: Target): Call;
  idOf(exchange: Exchange): string;
}

const NONE: readonly string[] = [];

/**
 * `asking`: the response head is awaited. `answering`: the client is getting the response. `whole`: the response is
 * complete. `failed`: the client got the proxy's own response or a reset.
 */
type Phase = 'asking' | 'answering' | 'whole' | 'failed';

export class Exchange extends RequestRecord<Request> implements InFlight, StreamSink, CallSink, Http2CallSink {
  stream: StreamKind | null = null;
  readonly httpVersion = '2';
  readonly engine = 'h2';
  /** Number of the generated request id; 0: the client's own id is used. */
  readonly id: number;
  readonly client: ServerStream;
  readonly #carrier: Carrier;
  #target: Target | null = null;
  /** Null once the call is over: its connection may then carry another request. */
  #call: Call | null = null;
  #phase: Phase = 'asking';
  #appStatus = 0;
  #retried = false;
  /** True while the target applies back-pressure to the request body. */
  #targetFull = false;
  #clientFull = false;

  /** @param id number of the generated request id; 0: the client's own id is used */
  constructor(client: ServerStream, request: Request, route: Route | null, id: number, carrier: Carrier) {
    super(request, carrier.context);
    this.client = client;
    this.route = route;
    this.id = id;
    this.#carrier = carrier;
    client.sink = this;
  }

  get requestId(): string {
    return this.#carrier.idOf(this);
  }

  get method(): string {
    return this.request.method;
  }

  get targetId(): string | null {
    return this.#target?.id ?? null;
  }

  /**
   * Claims a target and sends it the request. The route must be set.
   * @returns false when the upstream is held: nothing has happened then, and the exchange must be dropped
   */
  forward(): boolean {
    const { route, request } = this;
    if (route === null) return true;
    if (request.isGrpc && route.edge.appProtocol === 'h2c') this.stream = 'grpc';
    this.#target = route.upstream.claim(this, null, request);
    if (this.#target === null && route.upstream.refusal === 'held') {
      this.handOver();
      return false;
    }
    if (this.#target === null) this.#fail(APP_UNAVAILABLE, `no target takes requests: ${route.upstream.refusal}`);
    else this.#call = this.#carrier.ask(this, this.#target);
    return true;
  }

  /** Sends the proxy's own response. */
  answer({ status, headers, body }: Answer): void {
    if (this.isOver || this.client.headersSent) return;
    if (this.#phase === 'asking') {
      // Not a failure: this is the intended response.
      this.#phase = 'failed';
      this.outcome = 'served';
    }
    const bytes = Buffer.from(body);
    const isEmpty = this.method === 'HEAD' || bytes.length === 0;
    this.status = status;
    this.bytesOut = isEmpty ? 0 : bytes.length;
    const block = this.#carrier.block.begin(status);
    for (let index = 0; index + 1 < headers.length; index += 2) {
      block.add((headers[index] as string).toLowerCase(), headers[index + 1] as string);
    }
    this.client.linger();
    block.add('date', this.#carrier.date.text);
    this.client.respond(block.add('content-length', String(bytes.length)));
    if (!isEmpty) this.client.write(bytes, 0, bytes.length);
    this.client.end();
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
      this.#call?.abort();
      this.#conclude([]);
    } else if (this.stream === 'grpc' && (this.#phase === 'asking' || this.#phase === 'answering')) {
      this.#call?.abort();
      if (this.#phase === 'asking') this.#dismissCall();
      else this.#conclude(GRPC_UNAVAILABLE);
    } else this.cut();
  }

  // The request, to the target

  data(bytes: Buffer, start: number, end: number): boolean {
    if (!this.#isUnderWay) return true;
    this.bytesIn += end - start;
    const limit = this.route?.edge.maxBodyBytes ?? 0;
    if (limit > 0 && this.bytesIn > limit) {
      this.#giveUp(BODY_TOO_LARGE);
      return true;
    }
    if (this.#call?.write(bytes.subarray(start, end)) === false) this.#targetFull = true;
    return !this.#targetFull;
  }

  ended(trailers: readonly string[]): void {
    if (this.#isUnderWay) this.#call?.end(passedTrailerFields(trailers));
  }

  /**
   * Enforces the minimum rate of the request body. gRPC messages may be far apart, and the client is not at fault when
   * the target does not take the body.
   */
  tick(): void {
    const isReading = this.#phase === 'asking' && !this.client.isRequestEnded && !this.#targetFull;
    if (!isReading || this.stream === 'grpc') return;
    const { bodyGraceMs } = this.#carrier.context.timeouts;
    if (isTooSlow(this.bytesIn, this.ageMs, bodyGraceMs))
      this.#fail(CLIENT_TIMEOUT, 'the body of the request trickles');
  }

  drain(): void {
    if (!this.#targetFull) return;
    this.#targetFull = false;
    this.client.resume();
  }

  // The response, to the client

  information(head: ResponseHead): void {
    if (this.#phase !== 'asking') return;
    addPassed(this.#carrier.block.begin(head.status), head);
    this.client.inform(this.#carrier.block);
  }

  /** The response head from an HTTP/1.1 target. */
  head(head: ResponseHead): void {
    if (this.#phase !== 'asking') return;
    addPassed(this.#carrier.block.begin(head.status), head);
    if (!head.hasDate) this.#carrier.block.add('date', this.#carrier.date.text);
    this.#begin(head.status, head.isEventStream);
  }

  /** The response head from an HTTP/2 target. */
  answered(status: number, fields: readonly string[]): void {
    if (this.#phase !== 'asking') return;
    const type = fields.findIndex((text, index) => index % 2 === 0 && text === 'content-type');
    const isEventStream = type >= 0 && fields[type + 1]?.startsWith('text/event-stream') === true;
    this.#carrier.block.begin(status).addAll(fields);
    if (!fields.some((text, index) => index % 2 === 0 && text === 'date')) {
      this.#carrier.block.add('date', this.#carrier.date.text);
    }
    this.#begin(status, isEventStream);
  }

  informed(status: number, fields: readonly string[]): void {
    if (this.#phase === 'asking') this.client.inform(this.#carrier.block.begin(status).addAll(fields));
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#phase !== 'answering') return true;
    this.bytesOut += end - start;
    if (!this.client.write(bytes, start, end)) this.#clientFull = true;
    return !this.#clientFull;
  }

  flush(): boolean {
    // Output is flushed at the end of each turn of the event loop.
    return !this.#clientFull;
  }

  sent(): void {
    if (!this.#clientFull) return;
    this.#clientFull = false;
    this.#call?.resume();
  }

  end(trailers: readonly string[] | null): void {
    this.#call = null;
    if (this.#phase === 'answering') this.#conclude(trailers === null ? NONE : withLowerNames(trailers));
  }

  failed(reason: CallFailure, cause: unknown): void {
    this.#call = null;
    if (!this.#isUnderWay) return;
    const isUnreached = reason === 'refused' || reason === 'connect-timeout';
    const failure = reason === 'timeout' || reason === 'connect-timeout' ? APP_TIMEOUT : APP_UNREACHABLE;
    if (isUnreached && this.#phase === 'asking') this.#unreached(failure, cause);
    else if (reason === 'timeout' && this.#phase === 'asking' && !this.client.isRequestEnded && !this.#targetFull) {
      this.#fail(CLIENT_TIMEOUT, cause);
    } else this.#fail(failure, cause);
  }

  /**
   * The target could not be reached, so nothing was sent: another container may serve the request, whatever its method.
   */
  #unreached(failure: Failure, cause: unknown): void {
    const refusing = this.#target;
    refusing?.refused(this.#carrier.context.clock.monotonic());
    if (this.#retried || refusing === null || this.route === null || this.bytesIn > 0) {
      return this.#fail(failure, cause);
    }
    this.#retried = true;
    refusing.withdraw(this);
    const other = this.route.upstream.claim(this, refusing, this.request);
    this.#target = other;
    if (other === null || other === refusing) return this.#fail(failure, cause);
    this.#call = this.#carrier.ask(this, other);
    if (this.request.hasBody && this.client.isRequestEnded) this.#call.end();
    return undefined;
  }

  /** Sends an error page, or, once the app's response has begun, resets the stream, since it is not complete. */
  #fail(failure: Failure, cause: unknown): void {
    if (this.isOver || this.#phase === 'failed') return;
    const answered = !this.client.headersSent;
    const isClients = failure === CLIENT_TIMEOUT;
    this.outcome = isClients ? 'abandoned' : 'failed';
    this.#phase = 'failed';
    this.#call?.abort();
    if (!isClients) this.noteFailure(failure, cause, this.#target);
    if (answered) this.refuse(failure);
    else this.client.break();
  }

  /** Ends the exchange for a fault of the client: with an error page, if no response has begun. */
  #giveUp(failure: Failure): void {
    this.#phase = 'failed';
    this.#call?.abort();
    if (this.client.headersSent) this.client.reset(CODE.cancel);
    else this.refuse(failure);
  }

  get #isUnderWay(): boolean {
    return this.#phase === 'asking' || this.#phase === 'answering';
  }

  /** Sends the app's response head, which is in the block. */
  #begin(status: number, isEventStream: boolean): void {
    this.#phase = 'answering';
    this.#appStatus = status;
    this.noteAnswer(status);
    if (isEventStream) this.stream ??= 'events';
    this.client.respond(this.#carrier.block);
  }

  /** Ends a gRPC call whose response has not begun: head and trailers are then one (Trailers-Only). */
  #dismissCall(): void {
    this.status = 200;
    const block = this.#carrier.block.begin(200).add('content-type', 'application/grpc').addAll(GRPC_UNAVAILABLE);
    this.client.respond(block);
    this.#conclude(NONE);
  }

  /** Ends the response. What the client still sends is dropped, and soon the stream is reset. */
  #conclude(trailers: readonly string[]): void {
    this.outcome = 'served';
    this.#phase = 'whole';
    this.client.linger();
    this.client.end(trailers);
  }

  closed(code: number): void {
    if (this.isOver) return;
    if (code !== CODE.noError && this.outcome === 'served') this.outcome = 'abandoned';
    if (this.#isUnderWay) this.#call?.abort();
    this.#target?.release(this, this.outcome, this.#appStatus);
    this.conclude(this.outcome);
  }
}
