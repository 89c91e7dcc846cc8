/**
 * What a route requires of a request before a target is claimed: redirects, who may come, how much and how fast. A
 * policy is compiled once per route and flip (compile.ts). Every engine calls it once per request, so its common
 * answer, null, must cost next to nothing.
 */
import type { Answer } from '../http/pages.ts';

/** A request as a policy sees it: a view of what the engine has read, which copies nothing before it is asked for. */
export interface Asked {
  readonly method: string;
  /** Normalised: lower case, without port. */
  readonly host: string;
  /** Request target in origin form, as sent: path and query. */
  readonly target: string;
  /** The client's address according to the socket, a trusted proxy or the PROXY protocol; without `::ffff:`. */
  readonly clientAddress: string;
  readonly secure: boolean;
  /** Declared body length in bytes; null: chunked, or none. */
  readonly contentLength: number | null;
  /** The value of the field with this lower-case name; repeated fields are joined by `, `. */
  header(name: string): string | undefined;
}

export interface Policy {
  /** Null: go on. Synchronous. */
  judge(asked: Asked): Answer | null;
}
