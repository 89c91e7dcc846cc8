/** Several things at the same time. */

/**
 * What all of them give. Unlike `Promise.all` it hears all out before it rejects, with the first failure in their order:
 * nothing goes on behind the back of a caller who cleans up.
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
