import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { askServer } from './name-server.ts';

/** A loopback address of its own: port 53 of it is nobody's. */
const ADDRESS = '127.53.7.20';

/** Name → RCODE (RFC 1035, 4.1.1) of a server's answer; a name that is not there gets none. */
async function serve(t: TestContext, codes: Readonly<Record<string, number>>): Promise<void> {
  const server = createSocket('udp4');
  t.after(() => server.close());
  server.on('message', (query, { port, address }) => {
    const code = Object.entries(codes).find(([name]) => query.includes(name.split('.')[0] ?? ''))?.[1];
    if (code === undefined) return;
    const answer = Buffer.from(query);
    answer[2] = 0x81;
    answer[3] = 0x80 + code;
    server.send(answer, port, address);
  });
  server.bind(53, ADDRESS);
  await once(server, 'listening');
}

const [NO_SUCH_NAME, SERVER_FAILURE, REFUSED] = [3, 2, 5];

const stateOf = async (...names: string[]): Promise<string> => (await askServer(ADDRESS, names)).state;

test('that there is no such name is an answer', async (t) => {
  await serve(t, { 'example.com': NO_SUCH_NAME, localhost: NO_SUCH_NAME });
  assert.equal(await stateOf(), 'answers');
});

test('a server that says it failed, or refuses, is no server that answers', async (t) => {
  await serve(t, { 'example.com': SERVER_FAILURE, localhost: REFUSED, 'hub.internal': REFUSED });
  const { state, why } = await askServer(ADDRESS, ['hub.internal']);
  assert.deepEqual([state, why], ['failing', 'ESERVFAIL for example.com, hub.internal']);
});

test('a server of a network without internet is well when it knows the hub', async (t) => {
  await serve(t, { 'example.com': SERVER_FAILURE, localhost: REFUSED, 'hub.internal': NO_SUCH_NAME });
  assert.equal(await stateOf('hub.internal'), 'answers');
});

test('a server that still looks for a name is late and not silent', async (t) => {
  await serve(t, { localhost: REFUSED });
  assert.equal(await stateOf(), 'late');
});

test('a server that says nothing is silent, and so is one that is not there', async (t) => {
  assert.equal(await stateOf(), 'silent');
  await serve(t, {});
  assert.equal(await stateOf(), 'silent');
});
