/** The tools that all HTTP/2 connections of a process share. */
import type { Clock } from '../clock.ts';
import type { FieldBlock } from './wire/field-block.ts';
import type { FieldList } from './wire/hpack-decoder.ts';
import type { Outputs } from './wire/outputs.ts';

/** Reusable objects that hold state only during a call. */
export interface Tools {
  readonly clock: Clock;
  readonly outputs: Outputs;
  readonly fields: FieldList;
  readonly block: FieldBlock;
  /** Largest field section that a client may send, bytes as HPACK counts them. */
  readonly maxListBytes: number;
}
