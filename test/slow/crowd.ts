/** Many concurrent connections from chosen addresses: idle ones, and floods from one address. */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';

/** Connections opened concurrently. */
const AT_ONCE = 250;

interface Crowd {
  /** Connections that stay open. */
  readonly open: number;
  close(): void;
}

/**
 * @param first what each connection sends first; the response is read and discarded
 * @param addresses of this machine, used in turn
 */
export async function gather(
  port: number,
  addresses: readonly string[],
  connections: number,
  first: string,
): Promise<Crowd> {
  const sockets: Socket[] = [];
  for (let from = 0; from < connections; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, connections - from);
    const batch = Array.from({ length: count }, (_, index) =>
      join(port, addresses[(from + index) % addresses.length] ?? '127.0.0.1', first),
    );
    sockets.push(...(await Promise.all(batch)));
  }
  return {
    get open() {
      return sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Resolves when something was answered, or the connection was refused or closed. */
function join(port: number, localAddress: string, first: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1', localAddress });
    const done = (): void => resolve(socket);
    socket.on('error', done); // refused: not among the open ones
    socket.once('close', done);
    socket.once('end', done);
    socket.on('data', done);
    socket.once('connect', () => (first === '' ? done() : socket.write(first)));
  });
}
