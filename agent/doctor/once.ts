/** Runs `work` on the first call and caches its result, even a failure, for all later calls. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= work());
}
