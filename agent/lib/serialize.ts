/** One after the other. */

export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** A turn of its own: each `work` begins once those before it have ended, well or not. What becomes of it only its caller hears. */
export function serialize(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined); // its own caller hears of it
    return result;
  };
}
