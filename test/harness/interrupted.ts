/** Rejects on SIGINT or SIGTERM, so that everything is removed in the same order as at the end of a run. */
export function interrupted(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Error(`${signal} came`)));
  });
}
