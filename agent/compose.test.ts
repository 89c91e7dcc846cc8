import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildAgent, logFolder } from './compose.ts';
import { readConfig } from './config.ts';
import { localIdentity } from './identity/identity.ts';
import { run } from './lib/exec.ts';
import { temporaryFolder } from './lib/test-folder.ts';
import { silent } from './lib/test-logger.ts';
import { deployJob } from './deployment/test-job.ts';

const TIMEOUT = { timeoutMs: 10_000 };

test('a start removes the checkout of a killed agent with its token; a refused second agent removes nothing', async (t) => {
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

test('a start removes the logs of deployments that the journal does not know', async (t) => {
  const folder = temporaryFolder(t);
  const state = join(folder, 'state');
  const config = readConfig({ ORKESTR_AGENT_STATE: state, ORKESTR_AGENT_RUN: join(folder, 'run') });
  const identity = localIdentity(state, 0);
  const [known, lost] = [deployJob(), deployJob()];
  const first = await buildAgent(config, identity, silent);
  first.journal.accept(known);
  await first.stop();
  for (const { deploymentId } of [known, lost]) {
    mkdirSync(join(logFolder(config), deploymentId), { recursive: true });
    writeFileSync(join(logFolder(config), deploymentId, 'build.log'), 'lines');
  }
  const second = await buildAgent(config, identity, silent);
  await second.stop();
  assert.deepEqual(readdirSync(logFolder(config)), [known.deploymentId]);
});

test('an agent starts on a full disk, and reserves space for the next start once there is room', async (t) => {
  const folder = temporaryFolder(t);
  const state = join(folder, 'state');
  mkdirSync(state);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', state], TIMEOUT);
  try {
    const config = readConfig({ ORKESTR_AGENT_STATE: state, ORKESTR_AGENT_RUN: join(folder, 'run') });
    const identity = localIdentity(state, 0);
    const filler = join(state, 'filler');
    const fill = (): void => assert.throws(() => writeFileSync(filler, Buffer.alloc(20_000_000)), { code: 'ENOSPC' });
    await (await buildAgent(config, identity, silent)).stop();

    fill();
    const agent = await buildAgent(config, identity, silent);
    assert.deepEqual(agent.journal.allLive(), []);
    rmSync(filler);
    await agent.stop();
    fill();
    await (await buildAgent(config, identity, silent)).stop();
  } finally {
    await run('umount', [state], TIMEOUT);
  }
});
