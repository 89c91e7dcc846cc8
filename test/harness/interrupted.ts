/**
 * Rejects when the run is to stop (SIGINT, SIGTERM), so that what it made is taken away in the order in which it would be at
 * its end.
 */
export function interrupted(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Error(`${signal} came`)));
  });
}
