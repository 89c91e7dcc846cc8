/**
 * One HTTP request on a connection of its own. Uses Node's client rather than undici, which brings a second HTTP
 * parser, in WebAssembly, and much that nobody uses here: even an idle host would keep it in memory
 * (docs/performance.md).
 */
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';

/** A program on this host by its unix socket, or an app by its address. */
type HttpPeer = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface HttpCall {
  readonly peer: HttpPeer;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Aborts the call, even while its response is read; its reason is then thrown. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** @returns the head of the response; the caller must read or destroy its body */
export function callHttp({ peer, body, signal, headers, ...call }: HttpCall): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? null : { 'content-type': 'application/json' };
    // No agent and no keep-alive: the peer may be another process the next time.
    request({ ...peer, ...call, signal, headers: { ...headers, ...json }, agent: false }, resolve)
      .on('error', (error) => reject(signal.aborted ? signal.reason : error))
      .end(json && JSON.stringify(body));
  });
}

/** @throws Error also if the response has more than `maxBytes` */
export async function askHttp(call: HttpCall, maxBytes: number): Promise<HttpAnswer> {
  const answer = await callHttp(call);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Leaving this loop destroys the response and its connection.
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`);
    }
  } catch (error) {
    call.signal.throwIfAborted(); // the reason of the abort says more than the broken read
    throw error;
  }
  return { status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}
