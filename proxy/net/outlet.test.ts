import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { Outlet } from './outlet.ts';

const fdOf = (socket: Socket): number | undefined => (socket as unknown as { _handle?: { fd: number } })._handle?.fd;

test('a write to a destroyed connection never reaches the one that reuses its descriptor, nor counts as written', async (t) => {
  const received: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => received.push(String(bytes)));
    t.after(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connect = async (): Promise<Socket> => {
    const socket = createConnection(port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const first = await connect();
  let told = 0;
  const outlet = new Outlet(first, () => (told += 1));
  outlet.open();
  const fd = fdOf(first);
  first.on('error', () => undefined);
  first.destroy();
  const others: Socket[] = [];
  while (!others.some((socket) => fdOf(socket) === fd) && others.length < 20) others.push(await connect());
  assert.ok(
    others.some((socket) => fdOf(socket) === fd),
    'the descriptor was given away again',
  );
  outlet.write(Buffer.from('not for you'), 0, 11);
  for (const socket of others) socket.write('mine');
  while (received.length < others.length) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(new Set(received), new Set(['mine']));
  assert.equal(told, 0);
});
