import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildAgent } from './compose.ts';
import { readConfig } from './config.ts';
import { localIdentity } from './identity.ts';
import { silent, temporaryFolder } from './test-bench.ts';

test('what a killed agent left of a checkout, its token with it, goes at the next start, and not with a second agent', async (t) => {
  const folder = temporaryFolder(t);
  const [state, run] = [join(folder, 'state'), join(folder, 'run')];
  const config = readConfig({ ORKESTR_AGENT_STATE: state, ORKESTR_AGENT_RUN: run });
  const identity = localIdentity(state, 0);
  const checkout = join(state, 'git', 'git-a1b2c3');
  const leave = (): void => {
    mkdirSync(checkout, { recursive: true });
    writeFileSync(join(checkout, 'config'), 'password = secret');
  };
  leave();
  const agent = await buildAgent(config, identity, silent);
  assert.ok(!existsSync(checkout));
  leave();
  await assert.rejects(buildAgent(config, identity, silent), { code: 'ORK_ALREADY_RUNNING' });
  assert.ok(existsSync(checkout), 'the one that runs is at it');
  await agent.stop();
});
