/** What the load asks of a way to the proxy, and what it hears back. */

/** Longest silence in a request, ms. */
export const SILENCE_MS = 10_000;

export interface Ask {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A buffer is sent with its length; chunks are sent as they come, without one. */
  readonly body?: Buffer | AsyncIterable<Buffer>;
  /** Events may be far apart: silence is not a fault. */
  readonly patient?: boolean;
}

export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Receives a response. Nothing follows `end` or `error`. */
export interface Receiver {
  head(status: number, headers: AnswerHeaders): void;
  /** @returns how long to pause reading, ms */
  data(part: Buffer): number;
  end(): void;
  error(error: Error): void;
}

export interface Way {
  readonly name: string;
  send(ask: Ask, receiver: Receiver): void;
  close(): void;
}
