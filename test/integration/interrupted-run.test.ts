/** A test run that is asked to stop ends its tests and every process they have started, however stubborn. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { endMarked, RUN_MARK } from '../runner/leftovers.ts';
import { runTests } from '../runner/test-files.ts';
import { eventually, temporaryFolder } from './proxy/harness.ts';

/** Starts a process that ignores SIGTERM, records its pid, and never ends. */
const HANGING = `
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
test('hangs', async () => {
  const stubborn = "process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000); console.log('here')";
  const child = spawn(process.execPath, ['-e', stubborn], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
  child.stdout.once('data', () => writeFileSync(process.env.PIDS, process.pid + ' ' + child.pid));
  await new Promise((resolve) => child.once('exit', resolve));
});
`;

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

test('an aborted test run ends its tests and the processes that these have started', async (t) => {
  const folder = await temporaryFolder(t);
  const [file, pids] = [join(folder, 'hanging.mjs'), join(folder, 'pids')];
  await writeFile(file, HANGING);
  const [run, stop] = [randomUUID(), new AbortController()];
  const env = { ...process.env, [RUN_MARK]: run, PIDS: pids, NODE_TEST_CONTEXT: undefined };
  const outcome = runTests([file], { processes: 1, env, output: new PassThrough().resume(), signal: stop.signal });
  await eventually('both processes', () => existsSync(pids) && readFileSync(pids, 'utf8').includes(' '));
  const started = readFileSync(pids, 'utf8').split(' ').map(Number);
  assert.deepEqual(started.map(isAlive), [true, true]);
  stop.abort();
  await endMarked(run);
  assert.match((await outcome)?.reason ?? '', /^tests failed/);
  await eventually('their end', () => !started.some(isAlive));
});
