/**
 * What the engines report about each exchange when it ends; metrics and access log are built on it. It is called once
 * per request on the hot path, so it takes plain numbers and allocates nothing unless a line is written.
 */

import type { Outcome } from '../upstream/target.ts';

/** The ended exchange, as a view that is valid only during the call. */
export interface Ended {
  readonly method: string;
  readonly host: string;
  /** Path and query as sent; the log leaves the query out. */
  readonly target: string;
  readonly clientAddress: string;
  readonly secure: boolean;
  readonly httpVersion: '1.0' | '1.1' | '2';
  readonly requestId: string;
  /** Of the response; 0 when none was sent. */
  readonly status: number;
  readonly outcome: Outcome;
  /** Null when the proxy answered the request before any claim. */
  readonly targetId: string | null;
  /** From the complete head of the request to the last byte of the response, ms. */
  readonly durationMs: number;
  /** From the complete head of the request to the head of the app's response, ms; 0 when there was none. */
  readonly appMs: number;
  /** Body bytes from the client and to it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The engine that served it. */
  readonly engine: 'fast' | 'general' | 'h2';
}

/** Counters of one upstream, so that no label is looked up per request. */
export interface UpstreamMetrics {
  ended(exchange: Ended): void;
}

export interface Observer {
  /** The counters of an upstream; the engines keep them with the route. */
  upstream(id: string): UpstreamMetrics;
  /** A request without a route, or one refused before the lookup. */
  unrouted(exchange: Ended): void;
  /** An upstream has left the table: its counters go after its last exchange. */
  forget(id: string): void;
}
