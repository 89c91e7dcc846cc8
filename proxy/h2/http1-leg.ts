/** The way to a target over HTTP/1.1: the calls of the fast engine, their answers as fields. */
import type { CallFailure, CallSink } from '../fast/call.ts';
import type { ResponseHead } from '../fast/response-head.ts';
import { answerFields } from './fields.ts';
import type { Follows, LegSink } from './leg.ts';

export class Http1Sink implements CallSink {
  readonly #sink: LegSink;

  constructor(sink: LegSink) {
    this.#sink = sink;
  }

  information(head: ResponseHead): void {
    this.#sink.information(answerFields(head));
  }

  head(head: ResponseHead): void {
    this.#sink.head(head.status, answerFields(head), followsOf(head));
  }

  body(buffer: Buffer, start: number, end: number): boolean {
    return this.#sink.body(Buffer.from(buffer.subarray(start, end)));
  }

  flush(): boolean {
    // Node gathers what is written in one turn.
    return true;
  }

  end(trailers: readonly string[] | null): boolean {
    this.#sink.end(trailers ?? []);
    // What was passed on is a copy.
    return true;
  }

  failed(reason: CallFailure, cause: unknown): void {
    this.#sink.failed(reason, cause);
  }

  drain(): void {
    this.#sink.drain();
  }
}

/** Trailers are possible after chunks, announced or not (RFC 9110 section 6.5). */
function followsOf({ framing, contentLength }: ResponseHead): Follows {
  if (framing === 'chunked') return 'trailers';
  return framing === 'none' || (framing === 'length' && contentLength === 0) ? 'nothing' : 'body';
}
