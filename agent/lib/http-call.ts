/**
 * One HTTP request on a connection of its own. By node's client and not by undici, which brings a second parser of HTTP, in
 * WebAssembly, and much that nobody uses here: a host at rest would carry it all the time (docs/performance.md).
 */
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';

/** Where to: a program on this host by its unix socket, or an app by its address. */
type HttpPeer = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface HttpCall {
  readonly peer: HttpPeer;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Ends the call, also while its answer is read; what it gives as its reason is thrown. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** @returns the head of the answer: its body is to be read, or to be destroyed */
export function callHttp({ peer, body, signal, headers, ...call }: HttpCall): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? null : { 'content-type': 'application/json' };
    // No agent, no kept connection: the other side may be another process the next time.
    request({ ...peer, ...call, signal, headers: { ...headers, ...json }, agent: false }, resolve)
      .on('error', (error) => reject(signal.aborted ? signal.reason : error))
      .end(json && JSON.stringify(body));
  });
}

/** @throws Error also when the answer has more than `maxBytes` */
export async function askHttp(call: HttpCall, maxBytes: number): Promise<HttpAnswer> {
  const answer = await callHttp(call);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Whoever leaves this loop destroys the answer, and its connection with it.
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`);
    }
  } catch (error) {
    call.signal.throwIfAborted(); // why it was given up says more than how it broke off
    throw error;
  }
  return { status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}
