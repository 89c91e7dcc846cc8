/** Runs several things concurrently. */

/**
 * The results of all. Unlike `Promise.all` it waits for all of them before it rejects, with the first failure in their
 * order: nothing runs on behind the back of a caller that cleans up.
 */
export async function together<T extends readonly unknown[]>(
  ...work: {
    readonly [K in keyof T]: Promise<T[K]>;
  }
): Promise<T> {
  const ended = await Promise.allSettled(work);
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  return Promise.all(work) as Promise<unknown> as Promise<T>;
}
