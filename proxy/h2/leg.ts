/** The way between an exchange and its target, whatever protocol the target speaks. */
import type { Call, CallFailure } from '../fast/call.ts';

/** Bytes given to it must not be changed any more. */
export type Leg = Call;

/** What comes after the head of an answer. `trailers`: perhaps some, after a body that may be empty. */
export type Follows = 'nothing' | 'body' | 'trailers';

/** The side of the exchange. As CallSink (fast/call.ts), with fields as text; after `end` or `failed` none follows. */
export interface LegSink {
  /** 103 Early Hints. @param fields names and values in turn */
  information(fields: readonly string[]): void;
  /** @param fields names and values in turn, without those that concern one connection */
  head(status: number, fields: readonly string[], follows: Follows): void;
  /** The exchange keeps `bytes`. False: no more until {@link Leg.resume}. */
  body(bytes: Buffer): boolean;
  /** @param trailers names and values in turn, already filtered */
  end(trailers: readonly string[]): void;
  failed(reason: CallFailure, cause: unknown): void;
  drain(): void;
}
