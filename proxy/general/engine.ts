/**
 * http-proxy 1.18.1, reduced to what can be relied on: it opens the request to the target and pipes the body in. Its
 * other passes are removed: `deleteLength` rewrites the framing of DELETE and OPTIONS (smuggling), `XHeaders` trusts
 * what clients claim, and the response and WebSocket halves mishandle errors, hop-by-hop fields and connections. The
 * guard does their work.
 */
import type { Agent, ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import httpProxy from 'http-proxy';

/** The events of one attempt. */
export interface Attempt {
  /** The request has a connection, perhaps still connecting; no byte of the head was written yet. */
  opened(upstream: ClientRequest): void;
  response(response: IncomingMessage): void;
  failed(error: Error): void;
}

interface Destination {
  readonly address: string;
  readonly port: number;
  readonly agent: Agent;
}

export interface Engine {
  /**
   * @param headers the fields for the target; the request target is set in {@link Attempt.opened}, since http-proxy
   *   would collapse `//` in it
   */
  launch(
    req: IncomingMessage,
    res: ServerResponse,
    headers: Record<string, string | string[]>,
    to: Destination,
    attempt: Attempt,
  ): void;
}

/** @throws Error when http-proxy is not the version that the guard was written for */
export function makeEngine(): Engine {
  const attempts = new WeakMap<IncomingMessage, Attempt>();
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true, toProxy: true });
  keepOnlyStream(proxy);
  proxy.on('proxyReq', (upstream, req) => attempts.get(req)?.opened(upstream));
  proxy.on('proxyRes', (response, req) => attempts.get(req)?.response(response));
  return {
    launch: (req, res, headers, { address, port, agent }, attempt) => {
      attempts.set(req, attempt);
      req.headers = headers;
      const target = { protocol: 'http:', host: address, port };
      proxy.web(req, res, { target, agent }, (error) => attempt.failed(error));
    },
  };
}

/** The types omit the passes; in the pinned version they are a plain list of named functions. */
function keepOnlyStream(proxy: httpProxy): void {
  const inner = proxy as unknown as { webPasses: { name: string }[] };
  inner.webPasses = inner.webPasses.filter(({ name }) => name === 'stream');
  if (inner.webPasses.length !== 1) throw new Error('this version of http-proxy is not the one the guard was made for');
}
