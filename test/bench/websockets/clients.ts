/**
 * `clients.ts PORT COUNT MESSAGES TLS`: opens that many WebSockets and prints `open`. At each line on stdin it echoes
 * that many messages on all of them and prints `done`. It uses raw connections: a library's objects would take the
 * core's time.
 */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { HOST } from '../proxy/lab.ts';

const AT_ONCE = 50;
/** Number of source addresses: one address may not have so many connections. */
const ADDRESSES = 40;
/** A masked text frame of 20 bytes; the app sends it back unchanged. */
const FRAME = Buffer.from([0x81, 0x94, 0, 0, 0, 0, ...Buffer.alloc(20, 'x')]);

const [port = '', count = '', messages = '', tls = ''] = process.argv.slice(2);
const HANDSHAKE = `GET /ws HTTP/1.1\r\nHost: ${HOST}:${port}\r\nUser-Agent: bench\r\nOrigin: http://${HOST}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n`;

function dial(index: number): Socket {
  const to = { port: Number(port), host: '127.0.0.1', localAddress: `127.0.1.${1 + (index % ADDRESSES)}` };
  if (tls !== 'true') return createConnection(to);
  return connect({ socket: createConnection(to), servername: HOST, rejectUnauthorized: false });
}

/** Resolves when the response is whole. */
function answer(socket: Socket, isWhole: (text: string) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const closed = (): void => reject(new Error(`closed after ${JSON.stringify(text)}`));
    const read = (bytes: Buffer): void => {
      text += bytes.toString('latin1');
      if (!isWhole(text)) return;
      socket.off('data', read).off('close', closed);
      resolve();
    };
    socket.on('data', read).once('close', closed);
  });
}

/** Runs `act` for all, some at a time. */
async function forAll(act: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < Number(count)) await act(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const sockets: Socket[] = [];
await forAll(async (index) => {
  const socket = dial(index);
  // `close` follows and tells enough.
  socket.on('error', () => undefined);
  sockets[index] = socket;
  socket.write(HANDSHAKE);
  await answer(socket, (text) => text.startsWith('HTTP/1.1 101 ') && text.endsWith('\r\n\r\n'));
});
console.log('open');
for await (const _ of createInterface(process.stdin)) {
  for (let sent = 0; sent < Number(messages); sent += 1) {
    await forAll(async (index) => {
      const socket = sockets[index] as Socket;
      const echoed = answer(socket, (text) => text.length === FRAME.length);
      socket.write(FRAME);
      await echoed;
    });
  }
  console.log('done');
}
