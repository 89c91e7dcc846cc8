/** Runs asynchronous work one at a time. */

export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Makes a queue of its own: each `work` begins once those before it have ended, successfully or not. Only its caller
 * gets its result.
 */
export function serialize(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined); // its caller gets the error
    return result;
  };
}
