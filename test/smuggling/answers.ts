/** Classifies what a client received without reading bodies: no upstream here sends a status line inside one. */

/** Final responses on a connection. */
export interface Answers {
  /** Sent by the upstream: 200 … 399, from its app. */
  readonly fromApp: number;
  /** 400 and above, from the upstream. */
  readonly fromServer: number;
  /** Pages of the proxy itself. */
  readonly fromProxy: number;
}

const HEAD = /HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/g;

export function countAnswers(received: string): Answers {
  const count = { fromApp: 0, fromServer: 0, fromProxy: 0 };
  for (const [, status = '', fields = ''] of received.matchAll(HEAD)) {
    if (status.startsWith('1')) continue;
    // The proxy's pages carry this field, and no upstream sends it.
    if (/^x-content-type-options: nosniff\r$/im.test(fields)) count.fromProxy += 1;
    else if (Number(status) < 400) count.fromApp += 1;
    else count.fromServer += 1;
  }
  return count;
}
