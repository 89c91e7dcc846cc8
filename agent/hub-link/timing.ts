/** Time limits of one connection to the hub. */
export interface LinkTiming {
  /** From dialling to the hub's proof. */
  readonly handshakeMs: number;
  readonly pingMs: number;
  /** Silence after which the other side counts as gone; also the limit for the acknowledgement of a report. */
  readonly deadMs: number;
}

export const DEFAULT_TIMING: LinkTiming = { handshakeMs: 10_000, pingMs: 10_000, deadMs: 30_000 };
