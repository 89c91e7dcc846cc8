/** Which hosts a deployment of a background worker may go to. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { Settings } from '../../protocol/job.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import { OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';
import type { HostLinks } from '../deps.ts';
import { insertHost, setBuilds } from '../store/hosts.ts';
import { hub } from '../test-hub.ts';
import type { TestHub } from '../test-hub.ts';
import { AT } from '../test-release.ts';
import { placeDeployment } from './placement.ts';
import { create, find } from './test-scheduler.ts';

const makeWorker = (on: TestHub): Promise<unknown> =>
  on.deps.db
    .updateTable('environment')
    .set({ settings: JSON.stringify(Settings.parse({ healthCheck: { kind: 'running' } })) })
    .where('id', '=', on.environmentId)
    .execute();

test('a worker goes to a host that knows workers, with its health check and without domains', async (t) => {
  const on = await hub(t);
  await makeWorker(on);
  const agent = await on.connect();
  await create(on);
  const job = await agent.job();
  assert.ok(job.kind === 'deploy');
  assert.deepEqual([job.settings.healthCheck, job.settings.domains], [{ kind: 'running', runSeconds: 10 }, []]);
});

test('a worker is not sent to a host whose agent is too old, and fails with what to do', async (t) => {
  const on = await hub(t);
  const agent = await on.connect({ protocol: OLDEST_PROTOCOL });
  const web = await create(on);
  await agent.live(await agent.job());
  assert.equal((await find(on, web)).status, 'live', 'An app with a port goes there as before.');
  await makeWorker(on);
  const id = await create(on);
  const { status, sent_at, error } = await find(on, id);
  assert.deepEqual([status, sent_at], ['failed', null]);
  assert.match(error ?? '', /"ORK_PROTOCOL_AGENT_OLD".*vps-1 \(version 0\.1\.0\).*orkestr hosts upgrade vps-1/);
  assert.equal(agent.jobs.length, 1);
});

test('a worker is built by a host that knows workers, even if one that does not is less busy', async (t) => {
  const on = await hub(t);
  const { db } = on.deps;
  const [old, young] = [randomUUIDv7(), randomUUIDv7()];
  for (const [id, name] of [
    [old, 'a-old'],
    [young, 'b-young'],
  ] as const) {
    const { publicKey: public_key } = makeKeyPair();
    await insertHost(db, { id, team_id: on.account.teamId, name, public_key, acknowledged: 0, created_at: AT });
  }
  await setBuilds(db, on.hostId, false);
  const place = async (online: readonly string[], healthCheck?: { kind: 'running' }) => {
    const settings = Settings.parse({ registry: 'registry.example/team/shop', healthCheck });
    await db
      .updateTable('environment')
      .set({ settings: JSON.stringify(settings) })
      .execute();
    const environment = await db.selectFrom('environment').selectAll().executeTakeFirstOrThrow();
    const links: Pick<HostLinks, 'isOnline' | 'peer'> = {
      isOnline: (id) => id === on.hostId || online.includes(id),
      peer: (id) => ({
        agentVersion: '0.1.0',
        protocol: id === old ? OLDEST_PROTOCOL : PROTOCOL_VERSION,
        since: new Date(0),
      }),
    };
    return placeDeployment(db, links, { kind: 'deploy' }, environment);
  };
  const worker = { kind: 'running' } as const;
  assert.partialDeepStrictEqual(await place([old, young]), { buildHostId: old });
  assert.partialDeepStrictEqual(await place([old, young], worker), { kind: 'placed', buildHostId: young });
  const alone = await place([old], worker);
  assert.ok(alone.kind === 'impossible');
  assert.match(alone.error.message, /^The agent on a-old /);
  assert.equal(alone.error.code, 'ORK_PROTOCOL_AGENT_OLD');
  assert.partialDeepStrictEqual(await place([], worker), { kind: 'waits' });
});
