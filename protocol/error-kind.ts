/** Facts about each kind of error that do not depend on where it occurs. */

/** Who can fix it. */
export type Fault = 'user' | 'repository' | 'app' | 'host' | 'hub';

export interface ErrorKind {
  readonly fault: Fault;
  /** True when the same request may succeed later without any change. */
  readonly retry: boolean;
  /** HTTP status of a response with this error, from the hub or the proxy's admin API. */
  readonly status: number;
  /** One sentence: what to do. */
  readonly mend: string;
}

export const kind = (fault: Fault, status: number, mend: string, retry = false): ErrorKind => ({
  fault,
  status,
  mend,
  retry,
});
