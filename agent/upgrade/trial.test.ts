import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeLogger } from '../../protocol/service/logger.ts';
import { readConfig } from '../config.ts';
import { systemClock } from '../lib/clock.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { runTrial } from './trial.ts';

test('a trial removes the remains of a killed one and leaves a trial that runs beside it alone', async (t) => {
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

test('an engine that does not answer at first is asked again before the trial fails', async (t) => {
  const state = temporaryFolder(t);
  const socketPath = join(state, 'engine');
  let asked = 0;
  const engine = createServer((_request, response) => {
    asked += 1;
    if (asked === 1) response.destroy();
    else
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"ServerVersion":"99.0.0","LiveRestoreEnabled":true}');
  }).listen(socketPath);
  t.after(() => engine.close());
  const config = readConfig({
    ORKESTR_AGENT_STATE: join(state, 'agent'),
    ORKESTR_PROXY_SOCKET: join(state, 'no-proxy'),
    ORKESTR_DOCKER_SOCKET: socketPath,
  });
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const { checks } = await runTrial({ version: '1.0.0', config, clock, log: makeLogger('agent', 'silent') });
  assert.deepEqual(
    checks.find(({ name }) => name === 'engine'),
    { name: 'engine', ok: true, told: 'Docker Engine 99.0.0' },
  );
});
