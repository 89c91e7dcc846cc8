import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { scripted } from '../deployment/test-ports.ts';
import type { Identity } from '../identity/identity.ts';
import { systemClock } from '../lib/clock.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { dns } from './checks/dns.ts';
import { examine } from './doctor.ts';
import { askServer } from './name-server.ts';
import { HOST_PLACES } from './subject.ts';
import type { Subject } from './subject.ts';

/** A loopback address of its own, on which nothing listens on port 53. */
const ADDRESS = '127.53.7.20';
/** A check has less time; a machine busy with other tests needs more. */
const DEADLINE_MS = 1500;

/** Name → RCODE (RFC 1035, 4.1.1) of the server's response; it does not respond for other names. */
async function serve(t: TestContext, codes: Readonly<Record<string, number>>, on = ADDRESS): Promise<void> {
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
  server.bind(53, on);
  await once(server, 'listening');
}

const [NO_SUCH_NAME, SERVER_FAILURE, REFUSED] = [3, 2, 5];

const stateOf = async (...names: string[]): Promise<string> => (await askServer(ADDRESS, names)).state;

test('an NXDOMAIN response counts as an answer', async (t) => {
  await serve(t, { 'example.com': NO_SUCH_NAME, localhost: NO_SUCH_NAME });
  assert.equal(await stateOf(), 'answers');
});

test('a server that responds only with SERVFAIL or REFUSED counts as failing', async (t) => {
  await serve(t, { 'example.com': SERVER_FAILURE, localhost: REFUSED, 'hub.internal': REFUSED });
  const { state, why } = await askServer(ADDRESS, ['hub.internal']);
  assert.deepEqual([state, why], ['failing', 'ESERVFAIL for example.com, hub.internal']);
});

test('a server without internet access counts as answering if it answers for the hub', async (t) => {
  await serve(t, { 'example.com': SERVER_FAILURE, localhost: REFUSED, 'hub.internal': NO_SUCH_NAME });
  assert.equal(await stateOf('hub.internal'), 'answers');
});

test('a server that is still resolving a name is late, not silent', async (t) => {
  await serve(t, { localhost: REFUSED });
  assert.equal(await stateOf(), 'late');
});

test('a server that never responds is silent, and so is one that does not exist', async (t) => {
  assert.equal(await stateOf(), 'silent');
  await serve(t, {});
  assert.equal(await stateOf(), 'silent');
});

test('silent servers are reported and not asked again; neither they nor the lookup of the hub delay the check', async (t) => {
  const addresses = ['127.53.7.21', '127.53.7.22', '127.53.7.23'];
  for (const address of addresses) await serve(t, {}, address);
  const resolvConf = join(temporaryFolder(t), 'resolv.conf');
  writeFileSync(resolvConf, addresses.map((address) => `nameserver ${address}\n`).join(''));
  const identity = { hub: { url: 'https://hub.example.com', publicKey: '' } };
  const subject = scripted<Subject>('subject', {
    clock: systemClock,
    has: () => true,
    places: { ...HOST_PLACES, resolvConf },
    identity: () => scripted<Identity>('identity', identity),
    // As getent waits for such servers: longer than any check may take.
    exec: async (_program, _args, { timeoutMs }) => {
      await delay(timeoutMs);
      return { exitCode: null, stdout: '', stderr: '', timedOut: true };
    },
  });
  const { checks } = await examine(subject, { checks: [dns], deadlineMs: DEADLINE_MS });
  const [silent, ...others] = checks.flatMap(({ problems }) => problems);
  assert.deepEqual([silent?.id, others], ['dns/silent', []]);
  assert.deepEqual(
    silent?.evidence,
    addresses.map((address) => `${address}: no answer in 900 ms`),
  );
});
