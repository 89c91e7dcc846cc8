/** Certificates as hosts report them: what the API shows, and which notices are sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailingCertificate } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { Environment, Receiver } from '../api/schemas.ts';
import { hub, type TestHub } from '../test-hub.ts';
import type { ScriptedAgent } from './test-agent.ts';

const MINUTE = 60_000;
const DNS: ErrorReport = { code: 'ORK_ACME_DNS', message: 'It leads elsewhere.', evidence: [] };

const failing = (host: string, change: Partial<FailingCertificate> = {}): FailingCertificate => ({
  host,
  error: DNS,
  notAfter: null,
  ...change,
});

const shown = async (on: TestHub): Promise<unknown[]> => {
  const answer = await on.api('GET', '/projects/shop/environments/production');
  const { certificates } = Environment.parse(await answer.json());
  return certificates.map(({ host, error, notAfter, since }) => [host, error.code, notAfter, since]);
};

const told = async (on: TestHub): Promise<string[]> => {
  const receivers = Receiver.array().parse(await (await on.api('GET', '/projects/shop/receivers')).json());
  const deliveries = receivers.flatMap((receiver) => receiver.deliveries).toReversed();
  return deliveries.flatMap(({ notices }) => notices.map(({ kind, summary }) => `${kind} ${summary}`));
};

async function start(t: Parameters<typeof hub>[0]): Promise<{ on: TestHub; agent: ScriptedAgent }> {
  const on = await hub(t);
  const receiver = { kind: 'slack', address: 'https://chat.example.com/x' };
  assert.equal((await on.api('POST', '/projects/shop/receivers', receiver)).status, 201);
  return { on, agent: await on.connect() };
}

test('a failing certificate is shown at once; notices are sent once when it persists and once when it recovers', async (t) => {
  const { on, agent } = await start(t);
  const host = 'production.example.com';
  const since = '2030-01-01T00:00:00.000Z';
  await agent.beat({ certificates: [failing(host), failing('of-nobody.example.com')] });
  assert.deepEqual(await shown(on), [[host, 'ORK_ACME_DNS', null, since]]);
  on.pass(14 * MINUTE);
  await agent.beat({ certificates: [failing(host, { error: { ...DNS, message: 'It leads nowhere.' } })] });
  assert.deepEqual(await told(on), []);
  on.pass(2 * MINUTE);
  for (let n = 0; n < 3; n += 1) await agent.beat({ certificates: [failing(host)] });
  // A host whose proxy does not answer reports nothing about certificates.
  await agent.beat();
  assert.deepEqual(await shown(on), [[host, 'ORK_ACME_DNS', null, since]]);
  await agent.beat({ certificates: [] });
  assert.deepEqual(await shown(on), []);
  assert.deepEqual(await told(on), [
    `certificate.failing shop/production: the certificate of ${host} is failing`,
    `certificate.mended shop/production: the certificate of ${host} is valid again`,
  ]);
});

test('setting the clock neither makes a failure count as persistent nor suppresses the notice of one that is', async (t) => {
  for (const setMs of [480 * MINUTE, -480 * MINUTE]) {
    const { on, agent } = await start(t);
    const host = 'production.example.com';
    await agent.beat({ certificates: [failing(host)] });
    on.setClock(setMs);
    await agent.beat({ certificates: [failing(host)] });
    on.pass(14 * MINUTE);
    await agent.beat({ certificates: [failing(host)] });
    assert.deepEqual(await told(on), []);
    on.pass(MINUTE);
    await agent.beat({ certificates: [failing(host)] });
    assert.equal((await told(on)).length, 1, `${setMs}`);
  }
});

test('no notice is sent for a short failure, nor for the end of one whose domain the environment gave up', async (t) => {
  const { on, agent } = await start(t);
  const host = 'production.example.com';
  await agent.beat({ certificates: [failing(host)] });
  await agent.beat({ certificates: [] });
  await agent.beat({ certificates: [failing(host)] });
  on.pass(16 * MINUTE);
  await agent.beat({ certificates: [failing(host)] });
  const settings = { domains: [{ host: 'other.example.com' }] };
  assert.equal((await on.api('PATCH', '/projects/shop/environments/production', { settings })).status, 200);
  await agent.beat({ certificates: [failing(host)] });
  assert.deepEqual(await shown(on), []);
  assert.deepEqual(await told(on), [`certificate.failing shop/production: the certificate of ${host} is failing`]);
});

test('a failing wildcard certificate shows for the domains it covers, and a full report marks none as fixed', async (t) => {
  const { on, agent } = await start(t);
  const notAfter = '2030-01-10T00:00:00.000Z';
  await agent.beat({ certificates: [failing('*.example.com', { notAfter })] });
  assert.deepEqual(
    (await shown(on)).map((row) => (row as unknown[]).slice(0, 3)),
    [['production.example.com', 'ORK_ACME_DNS', notAfter]],
  );
  await agent.beat({ certificates: Array.from({ length: 100 }, (_, n) => failing(`${n}.example.org`)) });
  assert.equal((await shown(on)).length, 1);
});
