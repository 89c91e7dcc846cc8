/** Writing to connections whose reader is slow. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { connect, createServer as createTlsServer } from 'node:tls';
import { Outlet } from '../../../proxy/net/outlet.ts';
import { makeCertificate } from '../../harness/certificates.ts';
import { gatedTls } from './gated.ts';
import { eventually, listen, temporaryFolder } from './harness.ts';

test('a small write behind a pending large one does not suppress the notice that all is written', async (t) => {
  const { client, server, gate } = await gatedTls(t);
  client.resume();
  gate.isOpen = false;
  let told = 0;
  const outlet = new Outlet(server, () => (told += 1));
  const large = Buffer.alloc(67_000);
  assert.equal(outlet.write(large, 0, large.length), true);
  assert.equal(outlet.write(large, 0, large.length), false);
  // The first one passes, the second is on its way.
  for (let steps = 0; server.writableLength > large.length && steps < 1000; steps += 1) {
    gate.step();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(server.writableLength, large.length);
  assert.equal(outlet.write(Buffer.from('small'), 0, 5), false);
  for (let steps = 0; server.writableLength > 0 && steps < 1000; steps += 1) {
    assert.equal(told, 0);
    gate.step();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(told, 1);
});

for (const isSecure of [false, true]) {
  const kind = isSecure ? 'TLS' : 'a plain connection';
  test(`the unwritten bytes of ${kind} decrease while a slow reader reads`, async (t) => {
    const { cert, key } = await makeCertificate(await temporaryFolder(t), 'app.test', ['DNS:app.test']);
    const server = isSecure ? createTlsServer({ cert, key }) : createServer();
    const port = await listen(server);
    t.after(() => server.close());
    const accepted = once(server, isSecure ? 'secureConnection' : 'connection') as Promise<[Socket]>;
    const reader = isSecure ? connect({ port, ca: cert, servername: 'app.test' }) : createConnection(port);
    const [socket] = await accepted;
    t.after(() => [reader, socket].forEach((each) => each.destroy()));
    reader.pause();
    const outlet = new Outlet(socket, () => undefined);
    if (!isSecure) outlet.open();
    // More than the kernel buffers for both ends.
    const large = Buffer.alloc(2 ** 25);
    assert.equal(outlet.write(large, 0, large.length), false);
    await eventually('the kernel is full', () => outlet.queued > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = outlet.queued;
    reader.resume();
    await eventually('some of it has gone', () => outlet.queued < before);
    await eventually('all of it has gone', () => outlet.queued === 0);
  });
}
