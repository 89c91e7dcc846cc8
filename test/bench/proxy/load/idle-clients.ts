/**
 * `idle-clients.ts PORT COUNT`: opens that many connections, requests /1k once on each, and keeps them. Prints `open`
 * when all have their response. Ends when stdin ends, with exit code 1 if the other side closed a connection before.
 */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { BODIES, HOST } from '../lab.ts';

/** Concurrent handshakes: fewer than any listener's backlog. */
const AT_ONCE = 200;
/** Number of source addresses: one address may not have so many connections. */
const ADDRESSES = 20;

async function main([port = '', count = '']: readonly string[]): Promise<void> {
  const sockets: Socket[] = [];
  const open = async (): Promise<void> => {
    while (sockets.length < Number(count)) {
      const socket = createConnection({
        port: Number(port),
        host: '127.0.0.1',
        localAddress: `127.0.0.${1 + (sockets.length % ADDRESSES)}`,
      });
      sockets.push(socket);
      await ask(socket, Number(port));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  process.stdin.once('end', () => {
    const closed = sockets.filter(({ readyState }) => readyState !== 'open').length;
    if (closed > 0) process.stderr.write(`${closed} of ${count} idle connections were closed\n`);
    process.exit(closed > 0 ? 1 : 0);
  });
  process.stdin.resume();
  process.stdout.write('open\n');
}

/** Resolves when the whole response has arrived. */
function ask(socket: Socket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('latin1');
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${text.length} bytes`)));
    socket.on('data', (more: string) => {
      text += more;
      const head = text.indexOf('\r\n\r\n');
      if (head === -1 || text.length < head + 4 + BODIES['/1k']) return;
      if (text.startsWith('HTTP/1.1 200 ')) resolve();
      else reject(new Error(`answered ${text.slice(0, 100)}`));
      text = '';
    });
    socket.write(`GET /1k HTTP/1.1\r\nHost: ${HOST}:${port}\r\n\r\n`);
  });
}

await main(process.argv.slice(2));
