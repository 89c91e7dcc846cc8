/**
 * The listening sockets of the proxy. The process that holds the table binds or inherits them and keeps them open while
 * it serves, so that connections waiting to be accepted outlive a worker and, at an upgrade, go to the successor.
 */
import { closeSync } from 'node:fs';
import { promises as dns } from 'node:dns';
import { BoundSocket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Config, ListenAddress } from '../config.ts';
import type { ListenerKind } from './edge.ts';

export interface ListenSocket {
  readonly kind: ListenerKind;
  /** The descriptor, to pass to a child process. */
  readonly fd: number;
  /** Null when it was inherited. */
  readonly port: number | null;
  /** For `server.listen`, which then owns the socket. */
  readonly handle: BoundSocket | { readonly fd: number };
}

/** An address that accepts connections. */
export interface Listening extends AddressInfo {
  readonly kind: ListenerKind;
}

/**
 * @returns one socket per worker for each address; the kernel spreads connections over them. Inherited sockets are
 *   taken as they are, and workers share them.
 * @throws OrkestrError ORK_CONFIG when it cannot listen on an address
 */
export async function openSockets({
  inherited,
  listen,
  listenTls,
  workers,
}: Pick<Config, 'inherited' | 'listen' | 'listenTls' | 'workers'>): Promise<readonly ListenSocket[]> {
  const given = inherited.flatMap(({ fd, kind }) =>
    kind === 'admin' ? [] : [{ kind, fd, port: null, handle: { fd } }],
  );
  if (given.length > 0) return given;
  const http = await bind(listen, 'http', 'ORKESTR_PROXY_LISTEN', workers);
  if (listenTls === null) return http;
  try {
    return [...http, ...(await bind(listenTls, 'https', 'ORKESTR_PROXY_LISTEN_TLS', workers))];
  } catch (error) {
    closeSockets(http);
    throw error;
  }
}

/** For a process that passed its sockets to workers. If a process listens itself, its server closes them. */
export function closeSockets(sockets: readonly ListenSocket[]): void {
  for (const { handle, fd } of sockets) {
    if (handle instanceof BoundSocket) handle.close();
    else closeSync(fd);
  }
}

async function bind(
  { host, port }: ListenAddress,
  kind: ListenerKind,
  variable: string,
  workers: number,
): Promise<ListenSocket[]> {
  const bound: BoundSocket[] = [];
  try {
    const { address } = await dns.lookup(host);
    const options = { host: address, reusePort: workers > 1 };
    const first = new BoundSocket({ ...options, port });
    bound.push(first);
    const taken = first.address().port;
    while (bound.length < workers) bound.push(new BoundSocket({ ...options, port: taken }));
    return bound.map((socket) => ({ kind, fd: socket.fd(), port: taken, handle: socket }));
  } catch (error) {
    for (const socket of bound) socket.close();
    throw new OrkestrError('ORK_CONFIG', `The proxy cannot listen (${variable}): ${String(error)}.`, { cause: error });
  }
}
