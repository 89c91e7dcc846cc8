import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import type { Engine } from '../../lib/engine.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { makeSandboxDaemon } from './daemon.ts';

const ENDS_SLOWLY = `
  process.on('SIGTERM', () => setTimeout(() => process.exit(0), 200));
  setInterval(() => undefined, 1000);
  console.log('up');
`;

test('the wait for an engine to stop uses the monotonic clock, not a wall clock that may be set meanwhile', async (t) => {
  const folder = temporaryFolder(t);
  const [stateDirectory, dataDirectory, runDirectory] = ['state', 'data', 'run'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const engine = spawn(process.execPath, ['-e', ENDS_SLOWLY, '--', `--config-file=${stateDirectory}/daemon.json`]);
  t.after(() => engine.kill('SIGKILL'));
  const ended = once(engine, 'exit');
  await once(engine.stdout, 'data');
  mkdirSync(runDirectory);
  writeFileSync(join(runDirectory, 'dockerd.pid'), String(engine.pid));
  const answering: Engine = { socketPath: '', call: async <T>() => undefined as T };
  let now = Date.now();
  t.mock.method(Date, 'now', () => (now += 86_400_000));
  await makeSandboxDaemon({ stateDirectory, dataDirectory, runDirectory }, () => answering, systemClock).stop();
  assert.deepEqual(await ended, [0, null], 'it ended by itself');
});
