import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { listenersOf, parseListeners } from './listeners.ts';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (local: string, state: string): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 10001        0 59564 1\n`;

test('listening sockets are decoded, and connected ones are left out', () => {
  const text = HEADER + line('00000000:1F90', '0A') + line('0100007F:0BB8', '0A') + line('0100007F:0BB9', '01');
  assert.deepEqual(parseListeners(text), [
    { address: '0.0.0.0', port: 8080 },
    { address: '127.0.0.1', port: 3000 },
  ]);
});

test("a socket of Docker's own resolver does not count as one of the app", () => {
  assert.deepEqual(parseListeners(HEADER + line('0B00007F:9C40', '0A')), []);
});

test('IPv6 addresses have their short form, and mapped ones appear as IPv4', () => {
  const text =
    HEADER +
    line('00000000000000000000000000000000:1F90', '0A') +
    line('00000000000000000000000001000000:1F91', '0A') +
    line('0000000000000000FFFF00000100007F:1F92', '0A') +
    line('B80D0120000000000000000001000000:1F93', '0A');
  assert.deepEqual(
    parseListeners(text).map(({ address }) => address),
    ['::', '::1', '127.0.0.1', '2001:db8::1'],
  );
});

test('real sockets of this process are found, in both families', async (t) => {
  const open = async (host: string): Promise<number> => {
    const server = createServer().listen(0, host);
    t.after(() => server.close());
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  };
  const [four, six] = [await open('127.0.0.1'), await open('::1')];
  const found = await listenersOf(process.pid);
  assert.ok(found.some(({ address, port }) => address === '127.0.0.1' && port === four));
  assert.ok(found.some(({ address, port }) => address === '::1' && port === six));
});

test('a process that has exited has no listening sockets', async () => {
  assert.deepEqual(await listenersOf(4_194_304), []);
});
