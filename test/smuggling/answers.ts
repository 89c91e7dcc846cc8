/** What a client got, told apart without reading bodies: no upstream here sends a status line inside of one. */

/** Final answers of a connection. */
export interface Answers {
  /** Given by the upstream: 200 … 399 by its app. */
  readonly fromApp: number;
  /** 400 and above, by the upstream. */
  readonly fromServer: number;
  /** Pages of the proxy itself. */
  readonly fromProxy: number;
}

const HEAD = /HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/g;

export function countAnswers(received: string): Answers {
  const count = { fromApp: 0, fromServer: 0, fromProxy: 0 };
  for (const [, status = '', fields = ''] of received.matchAll(HEAD)) {
    if (status.startsWith('1')) continue;
    // The proxy's pages carry this field, and none of the upstreams sends it.
    if (/^x-content-type-options: nosniff\r$/im.test(fields)) count.fromProxy += 1;
    else if (Number(status) < 400) count.fromApp += 1;
    else count.fromServer += 1;
  }
  return count;
}
