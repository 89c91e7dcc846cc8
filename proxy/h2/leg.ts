/** The way between an exchange and a target that speaks HTTP/2. Over HTTP/1.1 it is a Call (fast/call.ts) as well. */
import type { Call, CallSink } from '../fast/call.ts';

export type Leg = Call;

/** The side of the exchange. As CallSink, with heads as text. */
export interface LegSink extends Pick<CallSink, 'body' | 'end' | 'failed' | 'drain'> {
  /** 103 Early Hints. @param fields lower-case names and values in turn */
  informed(fields: readonly string[]): void;
  /**
   * @param fields lower-case names and values in turn, without those that concern one connection
   * @param isWhole there is neither body nor trailers; `end` follows
   */
  answered(status: number, fields: readonly string[], isWhole: boolean): void;
}
