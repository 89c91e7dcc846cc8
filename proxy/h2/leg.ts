/** The way between an exchange and a target that speaks HTTP/2. Over HTTP/1.1 it is a Call (fast/call.ts) as well. */
import type { Call, CallSink } from '../fast/call.ts';

export type Leg = Call;

/** What comes after the head of an answer. `trailers`: perhaps some, after a body that may be empty. */
export type Follows = 'nothing' | 'body' | 'trailers';

/** The side of the exchange. As CallSink, with heads as text. */
export interface LegSink extends Pick<CallSink, 'body' | 'end' | 'failed' | 'drain'> {
  /** 103 Early Hints. @param fields lower-case names and values in turn */
  informed(fields: readonly string[]): void;
  /** @param fields lower-case names and values in turn, without those that concern one connection */
  answered(status: number, fields: readonly string[], follows: Follows): void;
}
