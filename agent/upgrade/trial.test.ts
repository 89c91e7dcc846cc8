import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeLogger } from '../../protocol/service/logger.ts';
import { readConfig } from '../config.ts';
import { systemClock } from '../lib/clock.ts';
import { temporaryFolder } from '../test-bench.ts';
import { runTrial } from './trial.ts';

test('what a trial that was killed has left is removed by the next one; one that runs beside it is left alone', async (t) => {
  const state = temporaryFolder(t);
  for (const name of ['trial-killed', 'trial-beside']) mkdirSync(join(state, name));
  const hourAgo = systemClock.now() / 1000 - 3600;
  utimesSync(join(state, 'trial-killed'), hourAgo, hourAgo);
  const config = readConfig({
    ORKESTR_AGENT_STATE: state,
    ORKESTR_PROXY_SOCKET: join(state, 'no-proxy'),
    ORKESTR_DOCKER_SOCKET: join(state, 'no-engine'),
  });
  const log = makeLogger('agent', 'silent');
  const { ok, checks } = await runTrial({ version: '1.0.0', config, clock: systemClock, log });
  assert.equal(ok, false, 'there is neither a proxy nor an engine');
  assert.deepEqual(
    checks.find(({ name }) => name === 'journal'),
    { name: 'journal', ok: true, told: 'none yet' },
  );
  assert.deepEqual(readdirSync(state), ['trial-beside']);
});
