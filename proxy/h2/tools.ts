/** What all connections of HTTP/2 of a process share. */
import type { Clock } from '../clock.ts';
import type { FieldBlock } from './wire/field-block.ts';
import type { FieldList } from './wire/hpack-decoder.ts';
import type { Outputs } from './wire/outputs.ts';

/** Things that are used during a call only. */
export interface Tools {
  readonly clock: Clock;
  readonly outputs: Outputs;
  readonly fields: FieldList;
  readonly block: FieldBlock;
  /** Largest field section that a client may send, bytes as HPACK counts them. */
  readonly maxListBytes: number;
}
