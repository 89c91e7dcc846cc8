import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { makeLogger } from '../../protocol/service/logger.ts';
import { makeSupervisor } from '../../protocol/service/systemd.ts';
import { until } from '../harness/until.ts';

const log = makeLogger('hub', 'silent');

/** A `systemd-notify`, first on the PATH, that records its arguments. */
function recordingProgram(t: TestContext): () => string[] {
  const folder = mkdtempSync(join(tmpdir(), 'ork-systemd-'));
  const file = join(folder, 'said');
  const program = join(folder, 'systemd-notify');
  writeFileSync(program, `#!/bin/sh\necho "$*" >> ${file}\n`);
  chmodSync(program, 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = `${folder}:${path}`;
  t.after(() => {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true });
  });
  return () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []);
}

test('a notify unit gets ready, status, watchdog and stopping', async (t) => {
  const said = recordingProgram(t);
  const supervisor = makeSupervisor({ NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '30000000' }, log);
  assert.equal(supervisor.watchdogMs, 15_000);
  supervisor.ready('serving');
  supervisor.status('2 apps');
  supervisor.watchdog();
  supervisor.stopping();
  await until(() => said().length === 4);
  assert.deepEqual(said().sort(), [
    `--pid=${process.pid} --status=2 apps`,
    `--ready --pid=${process.pid} --status=serving`,
    'STOPPING=1',
    'WATCHDOG=1',
  ]);
});

test('a new main process restarts the watchdog of the unit', async (t) => {
  const said = recordingProgram(t);
  await makeSupervisor({ NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '30000000' }, log).mainPid(4711);
  assert.deepEqual(said(), ['MAINPID=4711 WATCHDOG=1']);
});

test('outside systemd nothing is run', async (t) => {
  const said = recordingProgram(t);
  const supervisor = makeSupervisor({}, log);
  supervisor.ready('serving');
  supervisor.watchdog();
  supervisor.stopping();
  assert.equal(supervisor.watchdogMs, null);
  await sleep(100);
  assert.deepEqual(said(), []);
});
