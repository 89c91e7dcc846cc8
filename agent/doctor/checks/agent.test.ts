import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import { localIdentity, readIdentity } from '../../identity/identity.ts';
import { AgentView } from '../../local-api/agent-view.ts';
import type { NoAnswer } from '../../local-api/client.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import type { Subject, SubjectConfig } from '../subject.ts';
import { agent } from './agent.ts';

const RUNS = AgentView.parse({
  version: '1.0.0',
  hostId: 'x',
  pid: 47,
  since: new Date(0).toISOString(),
  hub: null,
  deployments: [],
  recent: [],
  outbox: 0,
});

/** The findings if the agent answers with `view`, and `prepare` sets up its identity. */
async function found(t: TestContext, view: AgentView | NoAnswer, prepare: (folder: string) => unknown) {
  const stateFolder = temporaryFolder(t);
  prepare(stateFolder);
  const subject = scripted<Subject>('subject', {
    config: scripted<SubjectConfig>('config', { stateFolder, agentSocket: join(stateFolder, 'sock') }),
    identity: () => readIdentity(stateFolder),
    agent: async () => view,
  });
  const verdict = await agent.run(subject, new AbortController().signal);
  return 'skipped' in verdict ? ['skipped'] : verdict.findings.map(({ problem }) => problem);
}

const whole = (folder: string): unknown => localIdentity(folder, 0);
const none = (): void => undefined;
const cutOff = (folder: string): void => writeFileSync(join(folder, 'identity.json'), '{\n  "hostId": "018f00');

test('the check distinguishes a missing identity from a damaged one, even while an agent that read it still runs', async (t) => {
  assert.deepEqual(await found(t, RUNS, whole), []);
  assert.deepEqual(await found(t, 'absent', whole), ['absent']);
  assert.deepEqual(await found(t, 'absent', none), ['identity', 'absent']);
  assert.deepEqual(await found(t, 'absent', cutOff), ['identity-damaged', 'absent']);
  assert.deepEqual(await found(t, RUNS, none), ['identity']);
  assert.deepEqual(await found(t, RUNS, cutOff), ['identity-damaged']);
});

test('the fix for a damaged identity keeps the id of the host and thus its apps', () => {
  const { mend } = agent.problems['identity-damaged'] ?? {};
  assert.match(JSON.stringify(mend), /orkestr hosts join-token NAME.*orkestr-agent join.*keeps its id/);
});
