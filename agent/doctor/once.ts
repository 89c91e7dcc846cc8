/** `work` is done when its result is first asked for, and then never again: a failure is the result of all who ask. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= work());
}
