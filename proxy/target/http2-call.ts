/** One request to a target over HTTP/2 and its response. */
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { Clock } from '../clock.ts';
import { asObject, passedFields, passedTrailerFields } from '../http/field-list.ts';
import { isBodyless } from '../http/headers.ts';
import { isForwardedInterim, MAX_INTERIM } from '../http/interim.ts';
import { Gathered } from '../net/gathered.ts';
import type { Call, CallFailure, CallSink } from './call.ts';
import type { Http2Session } from './http2-sessions.ts';

/** A frame flag and error codes (RFC 9113 sections 6.2 and 7). */
const END_STREAM = 0x1;
const REFUSED_STREAM = 0x7;
const CANCEL = 0x8;

export interface Http2CallRequest {
  /** Alternating names and values, pseudo-header fields first and `:method` before all others. */
  readonly head: string[];
  readonly hasBody: boolean;
  /** Limit from the last byte sent to the response head, ms. */
  readonly responseHeadMs: number;
  /** Limit of silence while the response body is awaited, ms. */
  readonly idleMs: number;
}

/** The exchange's side of a call: as CallSink, but with heads as text. */
export interface Http2CallSink extends Pick<CallSink, 'body' | 'end' | 'failed' | 'drain'> {
  /** An interim response for the client. @param fields as of `answered` */
  informed(status: number, fields: readonly string[]): void;
  /**
   * @param fields lower-case names and values, alternating, without hop-by-hop fields
   * @param isWhole neither body nor trailers follow; `end` is called next
   */
  answered(status: number, fields: readonly string[], isWhole: boolean): void;
}

export class Http2Call implements Call {
  /** HTTP/2 has no chunk framing. */
  readonly isBetweenChunks = true;
  readonly #ask: Http2CallRequest;
  readonly #sink: Http2CallSink;
  readonly #clock: Clock;
  readonly #pick: () => Http2Session;
  readonly #abort = new AbortController();
  #session: Http2Session | null = null;
  #stream: ClientHttp2Stream | null = null;
  #trailers: readonly string[] = [];
  #answerTrailers: readonly string[] = [];
  #phase: 'head' | 'body' | 'over' = 'head';
  #requestEnded: boolean;
  #written = 0;
  /** Bytes to send once the target has taken what is queued on the stream. */
  readonly #behind = new Gathered();
  #retried = false;
  #interim = 0;
  #movedAt: number;
  /** Bytes still to come of the declared length of the response body; null: not declared. */
  #left: number | null = null;

  constructor(ask: Http2CallRequest, sink: Http2CallSink, clock: Clock, pick: () => Http2Session) {
    this.#ask = ask;
    this.#sink = sink;
    this.#clock = clock;
    this.#pick = pick;
    this.#requestEnded = !ask.hasBody;
    this.#movedAt = clock.monotonic();
  }

  start(): void {
    const session = this.#pick();
    this.#session = session;
    session.calls.add(this);
    try {
      this.#open(session);
    } catch (error) {
      // Node refuses to send some fields; none of those that request.ts accepts is known to be among them.
      session.calls.delete(this);
      process.nextTick(() => this.#fail('malformed', error));
    }
  }

  write(bytes: Buffer): boolean {
    this.#written += bytes.length;
    this.#movedAt = this.#clock.monotonic();
    const stream = this.#stream;
    if (stream === null) return true;
    // Node keeps the buffer, and the caller will reuse it.
    if (!stream.writableNeedDrain) return stream.write(Buffer.from(bytes));
    this.#behind.add(bytes);
    return false;
  }

  end(trailers: readonly string[] = []): void {
    this.#requestEnded = true;
    this.#movedAt = this.#clock.monotonic();
    this.#trailers = trailers;
    if (!this.#behind.isEmpty) this.#stream?.write(this.#behind.take());
    this.#stream?.end();
  }

  resume(): void {
    this.#stream?.resume();
  }

  unsent(): null {
    return null;
  }

  abort(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#cancel();
  }

  /** @param now monotonic, ms */
  checkDeadline(now: number): void {
    const waited = now - this.#movedAt;
    if (this.#phase === 'head' && waited > this.#ask.responseHeadMs) this.#late('head of the answer');
    else if (this.#phase === 'body' && waited > this.#ask.idleMs && !this.#stream?.isPaused()) this.#late('its body');
  }

  #open(session: Http2Session): void {
    const { head, hasBody } = this.#ask;
    const options = { endStream: !hasBody, waitForTrailers: hasBody, signal: this.#abort.signal };
    const stream = session.http2.request(head, options);
    this.#stream = stream;
    const raw =
      (take: (status: number, flags: number, raw: readonly string[]) => void) =>
      (fields: IncomingHttpHeaders, flags: number, list: readonly string[]): void =>
        take(Number(fields[':status']), flags, list);
    stream.on(
      'headers',
      raw((status, _flags, list) => this.#informed(status, list)),
    );
    stream.on(
      'response',
      raw((status, flags, list) => this.#answered(status, flags, list)),
    );
    stream.on(
      'trailers',
      raw((_status, _flags, list) => {
        this.#answerTrailers = passedTrailerFields(list);
      }),
    );
    stream.on('wantTrailers', () => this.#sendTrailers(stream));
    stream.on('drain', () => this.#drained(stream));
    // `close` follows, and is handled.
    stream.on('error', () => undefined);
    stream.on('close', () => this.#closed(session, stream.rstCode));
  }

  #drained(stream: ClientHttp2Stream): void {
    const bytes = this.#behind.take();
    if (this.#phase !== 'over' && (bytes.length === 0 || stream.write(bytes))) this.#sink.drain();
  }

  #sendTrailers(stream: ClientHttp2Stream): void {
    try {
      stream.sendTrailers(asObject(this.#trailers));
    } catch (error) {
      // Node throws when the client repeated a field that it regards as single.
      this.#fail('malformed', error);
      this.#cancel();
    }
  }

  #informed(status: number, list: readonly string[]): void {
    if (this.#phase !== 'head') return;
    this.#interim += 1;
    if (this.#interim > MAX_INTERIM) {
      this.#cancel();
      this.#fail('malformed', 'too many interim answers');
    } else if (isForwardedInterim(status)) this.#sink.informed(status, passedFields(list, status));
  }

  #answered(status: number, flags: number, list: readonly string[]): void {
    const stream = this.#stream;
    if (this.#phase !== 'head' || stream === null) return;
    this.#phase = 'body';
    this.#movedAt = this.#clock.monotonic();
    const fields = passedFields(list, status);
    const isEmpty = (flags & END_STREAM) !== 0;
    const declared = fields.indexOf('content-length');
    // With HEAD and 304, the length is that of a body that is not sent, and END_STREAM may come in a frame of its own.
    const hasBody = !isEmpty && !isBodyless(this.#ask.head[1], status);
    if (hasBody && declared >= 0) this.#left = Number(fields[declared + 1]);
    this.#sink.answered(status, fields, isEmpty);
    stream.on('data', (bytes: Buffer) => this.#body(stream, bytes));
    stream.on('end', () => this.#bodyEnded());
  }

  #body(stream: ClientHttp2Stream, bytes: Buffer): void {
    if (this.#phase !== 'body') return;
    this.#movedAt = this.#clock.monotonic();
    if (this.#left !== null) this.#left -= bytes.length;
    if (!this.#sink.body(bytes, 0, bytes.length)) stream.pause();
  }

  #bodyEnded(): void {
    if (this.#phase !== 'body') return;
    // A stream that the target resets with NO_ERROR ends here too.
    if (this.#left !== null && this.#left !== 0) return this.#fail('broken', 'the body is not as long as declared');
    this.#phase = 'over';
    this.#sink.end(this.#answerTrailers);
    // The response ended before the request: nobody reads the rest.
    if (!this.#requestEnded) this.#cancel();
    return undefined;
  }

  #closed(session: Http2Session, code: number): void {
    session.left(this, this.#clock.monotonic());
    if (this.#phase === 'over') return;
    // The target has not processed a refused stream (RFC 9113 section 8.7), as when a GOAWAY crosses a request.
    const untouched = session.connected && code === REFUSED_STREAM && this.#phase === 'head';
    if (untouched && !this.#retried && this.#written === 0 && !session.hasRoom) {
      this.#retried = true;
      this.start();
      if (this.#requestEnded && this.#ask.hasBody) this.#stream?.end();
    } else this.#fail(this.#reason(session), `stream closed with code ${code}`);
  }

  #reason(session: Http2Session): CallFailure {
    if (session.timedOut) return 'connect-timeout';
    return session.connected ? 'broken' : 'refused';
  }

  #late(what: string): void {
    // Other streams of this connection may be healthy, but no new one should try it.
    this.#session?.close();
    this.#cancel();
    this.#fail('timeout', what);
  }

  #fail(reason: CallFailure, cause: unknown): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#sink.failed(reason, cause);
  }

  /** Resets the stream. Node's `close` would first end an incomplete request, which the app could take for complete. */
  #cancel(): void {
    if (!this.#requestEnded) return this.#abort.abort();
    this.#stream?.close(CANCEL);
    // A response that is complete by now closes the stream only when it has been read.
    this.#stream?.resume();
    return undefined;
  }
}
