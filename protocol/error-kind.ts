/** What is known of each kind of error, whoever meets it. */

/** Whose side the mend is on. */
export type Fault = 'user' | 'repository' | 'app' | 'host' | 'hub';

export interface ErrorKind {
  readonly fault: Fault;
  /** True when the same request may succeed later without any change. */
  readonly retry: boolean;
  /** HTTP status when the hub or the proxy's admin API answers with it. */
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
