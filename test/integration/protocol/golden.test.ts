/** Current hub and agent with peers of the previous version, frozen as recorded conversations (docs/protocol.md). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestHub } from '../../../hub/test-hub.ts';
import { AT } from '../../../hub/test-release.ts';
import { readLog } from '../../../hub/store/logs.ts';
import { listSteps } from '../../../hub/store/steps.ts';
import type { AgentMessage, HubMessage, Report } from '../../../protocol/agent-link.ts';
import { ErrorCode } from '../../../protocol/error-catalogue.ts';
import { inVersion, OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../../protocol/versions.ts';
import { temporaryFolder } from '../../../agent/lib/test-folder.ts';
import { refusals } from './compare.ts';
import { readConversation } from './conversation.ts';
import { playAgent } from './frozen-agent.ts';
import { FrozenHub } from './frozen-hub.ts';
import { startLinkAgent } from './link-agent.ts';
import { MESSAGE_NAMES, readerOf, schemasNamed, schemasOf, schemasOfToday } from './schemas.ts';
import { fatesAre, makeStory } from './story.ts';

const BEFORE = PROTOCOL_VERSION - 1;
const ID = '018f0000-0000-7000-8000-00000000000a';

test('the previous protocol version is supported, and the one before it is not', () => {
  assert.equal(OLDEST_PROTOCOL, BEFORE);
});

test('an agent of the previous version joins, deploys, fails, is upgraded, reconnects, is cancelled, rolls back and removes', async (t) => {
  const hub = await startTestHub();
  t.after(() => hub.stop());
  const story = makeStory(hub);
  const acts: string[] = [];
  await playAgent(BEFORE, {
    hubUrl: hub.url,
    joinToken: await story.joinToken(),
    async act(act) {
      acts.push(act);
      if (act === 'remove') await checkStored();
      await story.act(act);
    },
  });
  const upgrade = ['upgrade', 'replace'];
  assert.deepEqual(acts, ['deploy', 'deploy', ...upgrade, 'deploy', 'cut', 'time', 'cancel', 'rollback', 'remove']);
  assert.equal(await story.upgradeState(), 'healthy');
  assert.deepEqual(await hub.deps.db.selectFrom('removal').selectAll().execute(), [], 'The removal was taken as done.');

  /** Checks what the hub stored, just before it is deleted. */
  async function checkStored(): Promise<void> {
    await fatesAre(story, 'superseded', 'failed', 'cancelled', 'live');
    const [first, second] = [await story.deploymentAt(1), await story.deploymentAt(2)];
    assert.deepEqual(
      (await listSteps(hub.deps.db, first)).map(({ name, status }) => `${name} ${status}`),
      ['clone', 'analyze', 'build', 'deploy', 'health', 'cutover', 'finalize'].map((step) => `${step} done`),
    );
    assert.equal((await listSteps(hub.deps.db, second)).at(-1)?.error?.code, 'ORK_UNHEALTHY');
    const log: Uint8Array[] = [];
    for await (const part of readLog(hub.deps.db, first, 'build')) log.push(part);
    assert.deepEqual(Buffer.concat(log), Buffer.from('building generation 1\n\xff\0\n', 'latin1'));
  }
});

test('an agent of this version joins a hub of the previous version and does everything that it asks', async (t) => {
  const hub = new FrozenHub(BEFORE);
  const hubUrl = await hub.listen();
  const agent = await startLinkAgent({ folder: temporaryFolder(t), hubUrl, joinToken: hub.joinToken });
  t.after(async () => {
    await agent.stop();
    await hub.close();
  });
  await hub.play(agent);
  const [first] = hub.jobs();
  assert.deepEqual(
    hub.logOf(first?.deploymentId ?? '', 'build'),
    Buffer.from('building generation 1\n\xff\0\n', 'latin1'),
  );
});

test('every recorded frame is valid under the frozen schemas of its own version', () => {
  const [hub, agent] = [readerOf(BEFORE, 'HubMessage'), readerOf(BEFORE, 'AgentMessage')];
  for (const line of readConversation(BEFORE)) {
    if ('hub' in line) hub(line.hub);
    if ('agent' in line) agent(line.agent);
  }
});

test('current errors are translated for the previous version, and messages unknown to it are not sent', () => {
  const [hub, agent] = [readerOf(BEFORE, 'HubMessage'), readerOf(BEFORE, 'AgentMessage')];
  for (const code of ErrorCode.options) {
    const error = { code, message: 'So it is.', evidence: [] };
    const about = { deploymentId: ID, error } as const;
    const reports: Report[] = [
      { kind: 'step', step: 'build', status: 'failed', startedAt: AT, ms: 1, ...about },
      { kind: 'deployment', generation: 1, status: 'failed', at: AT, ...about },
    ];
    for (const report of reports) agent(inVersion({ type: 'report', sequence: 1, report }, BEFORE));
    const upgrade = { upgradeId: ID, version: '1.0.0', state: 'failed', error } as const;
    agent(inVersion({ type: 'upgrade-state', ...upgrade }, BEFORE));
    hub(inVersion({ type: 'error', code, message: 'So it is.' }, BEFORE));
  }
  const order = { environmentId: ID, tail: 1, sinceSeconds: null, follow: true, after: [] };
  const orders: HubMessage[] = [
    { type: 'app-log', readId: ID, ...order },
    { type: 'app-log-credit', readId: ID, chunks: 1 },
    { type: 'app-log-close', readId: ID },
  ];
  const answers: AgentMessage[] = [
    { type: 'app-log-chunk', readId: ID, deploymentId: ID, leftOut: 0, lines: [] },
    { type: 'app-log-end', readId: ID },
  ];
  for (const message of [...orders, ...answers]) {
    assert.equal(inVersion(message, BEFORE), null);
    assert.equal(inVersion(message, PROTOCOL_VERSION), message);
  }
});

/** What this version writes and the previous one would refuse, and why that never reaches it. */
const KEPT_FROM_IT: ReadonlyArray<readonly [pattern: RegExp, why: string]> = [
  [/^HubMessage\/(?:edge|app-log(?:-credit|-close)?): not known$/, 'not sent (protocol/version-2.ts)'],
  [/^AgentMessage\/(?:edge-state|app-log-(?:chunk|end)): not known$/, 'not sent (protocol/version-2.ts)'],
  [/^Job\/.*\.healthCheck\/running: not known$/, 'no such job is sent (hub/scheduler/placement.ts)'],
];

for (const name of MESSAGE_NAMES) {
  test(`${name}: this version and the previous one read each other's messages`, () => {
    const then = schemasNamed(schemasOf(BEFORE), name);
    const now = schemasNamed(schemasOfToday(), name);
    const unexplained = refusals(now.written, then.read, name).filter(
      (refusal) => !KEPT_FROM_IT.some(([pattern]) => pattern.test(refusal)),
    );
    assert.deepEqual(unexplained, [], 'Written now, refused by the version before.');
    assert.deepEqual(refusals(then.written, now.read, name), [], 'Written by the version before, refused now.');
  });
}
