import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Kind } from '../../../protocol/address-kind.ts';
import { makeGate, Refusal } from './gate.ts';
import { makeHostList } from './host-list.ts';

const { signal } = new AbortController();

/** A gate for `entries`; addresses not in `kinds` are public. */
function gateFor(entries: string[], names: Record<string, string[]>, kinds: Record<string, Kind> = {}) {
  const asked: string[] = [];
  const gate = makeGate({
    hosts: makeHostList(entries),
    resolve: async (host) => {
      asked.push(host);
      return names[host] ?? [];
    },
    judge: async () => (address) => kinds[address] ?? 'public',
    dialTimeoutMs: 2000,
  });
  return { gate, asked };
}

async function listen(t: TestContext, address = '127.0.0.1'): Promise<number> {
  // The gate destroys its end with unread bytes, which resets this one.
  const server = createServer((socket) => socket.on('error', () => undefined).end('hello')).listen(0, address);
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('a host that is not listed is refused without a lookup, so that no query leaks out', async () => {
  const { gate, asked } = gateFor(['a.example'], { 'secret.evil.example': ['192.0.2.1'] });
  await assert.rejects(gate.open('secret.evil.example', 443, signal), /secret\.evil\.example:443 is not in buildHosts/);
  await assert.rejects(gate.open('192.0.2.1', 443, signal), Refusal);
  assert.deepEqual(asked, []);
});

test('a listed name is looked up once and dialled at the address that was checked', async (t) => {
  const port = await listen(t);
  const { gate, asked } = gateFor([`a.example:${port}`], { 'a.example': ['127.0.0.1'] });
  const socket = await gate.open('A.Example.', port, signal);
  assert.equal(String((await once(socket, 'data'))[0]), 'hello');
  assert.equal(socket.remoteAddress, '127.0.0.1');
  assert.deepEqual(asked, ['a.example']);
  socket.destroy();
});

test('a name that resolves to the host or its containers is refused, but its permitted addresses are dialled', async (t) => {
  const port = await listen(t, '127.0.0.2');
  const kinds = { '127.0.0.1': 'never', '10.0.0.1': 'private' } as const;
  const names = { bad: ['127.0.0.1'], inner: ['10.0.0.1'], mixed: ['127.0.0.1', '10.0.0.1', '127.0.0.2'] };
  const { gate } = gateFor([`bad:${port}`, `inner:${port}`, `mixed:${port}`], names, kinds);
  await assert.rejects(gate.open('bad', port, signal), /leads to 127\.0\.0\.1, which no build may reach/);
  await assert.rejects(gate.open('inner', port, signal), /leads to the private address 10\.0\.0\.1, which is not in/);
  const socket = await gate.open('mixed', port, signal);
  assert.equal(socket.remoteAddress, '127.0.0.2');
  socket.destroy();
});

test('an address in the list does not open the host, whose addresses are never dialled', async () => {
  const { gate } = gateFor(['127.0.0.1', '127.0.0.0/8'], {}, { '127.0.0.1': 'never' });
  await assert.rejects(gate.open('127.0.0.1', 443, signal), /which no build may reach/);
});

test('a private address is dialled if it is in the list', async (t) => {
  const port = await listen(t, '127.0.0.3');
  const { gate } = gateFor([`inner:${port}`, '127.0.0.3'], { inner: ['127.0.0.3'] }, { '127.0.0.3': 'private' });
  (await gate.open('inner', port, signal)).destroy();
});

test('if the first address does not answer, the next one is tried; without any the error is not a refusal', async (t) => {
  const port = await listen(t, '127.0.0.2');
  const { gate } = gateFor([`two:${port}`, `none:${port}`], { two: ['127.0.0.9', '127.0.0.2'] });
  (await gate.open('two', port, signal)).destroy();
  await assert.rejects(gate.open('none', port, signal), (error) => !(error instanceof Refusal));
});
