/** The build engine over its life: adopted, killed, hung, idle. Needs what builder.machine.test.ts sets up. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEBIAN } from '../../../test/harness/builder.ts';
import { until } from '../../../test/harness/until.ts';
import { BuildLimits } from '../../../protocol/job.ts';
import { makeEngine } from '../../docker/engine.ts';
import { systemClock } from '../../lib/clock.ts';
import { makeSandbox } from '../sandbox.ts';
import type { Builds } from './test-builds.ts';
import { failure } from './test-builds.ts';

export function engineLife(builds: () => Builds): void {
  test('an engine that outlived its agent is used again', async () => {
    await builds().build([`FROM ${DEBIAN}`, 'RUN echo one']);
    const pid = builds().sandboxPid();
    builds().builder.restart();
    await builds().build([`FROM ${DEBIAN}`, 'RUN echo two']);
    assert.equal(builds().sandboxPid(), pid);
  });

  test('an engine killed during a build is replaced, and no process of the build is left', async () => {
    const killed = failure(
      builds().build([`FROM ${DEBIAN}`, 'RUN echo begun; sleep 98763'], {
        onLog: (text) => {
          if (text.includes('begun\n')) process.kill(builds().sandboxPid(), 'SIGKILL');
        },
      }),
    );
    assert.equal((await killed).code, 'ORK_SANDBOX');
    await builds().build([`FROM ${DEBIAN}`, 'RUN echo three']);
    await builds().assertNothingRuns();
  });

  test('an engine that hangs is replaced', async (t) => {
    // Requests after the build time out too.
    builds().builder.restart(5_000);
    t.after(() => builds().builder.restart());
    await builds().build([`FROM ${DEBIAN}`, 'RUN echo four']);
    const pid = builds().sandboxPid();
    process.kill(pid, 'SIGSTOP');
    await builds().build([`FROM ${DEBIAN}`, 'RUN echo five']);
    assert.notEqual(builds().sandboxPid(), pid);
    assert.ok(!existsSync(`/proc/${pid}`));
  });

  test('the process in a stale pid file is not killed if it is not an engine', async (t) => {
    await builds().builder.sandbox.stop();
    const other = spawn('sleep', ['600']);
    t.after(() => other.kill('SIGKILL'));
    await writeFile(join(builds().builder.files.runDirectory, 'a', 'dockerd.pid'), String(other.pid));
    assert.equal(await builds().builder.sandbox.isRunning(), false);
    await builds().builder.sandbox.stop();
    await builds().build([`FROM ${DEBIAN}`, 'RUN echo six']);
    assert.equal(other.exitCode, null);
    assert.ok(existsSync(`/proc/${other.pid}`));
  });

  test('an idle engine stops and keeps the cache', async () => {
    await builds().builder.sandbox.stop();
    const { scope } = builds().builder;
    const sandbox = makeSandbox({
      ...builds().builder.files,
      scope,
      openEngine: (socketPath) => makeEngine({ socketPath, disk: 'build' }),
      idleMs: 50,
      clock: systemClock,
    });
    const log = { write: () => undefined, line: () => undefined };
    const request = {
      environmentId: builds().environmentId,
      limits: BuildLimits.parse({ memoryMiB: 256, diskMiB: 1024 }),
      log,
      signal: new AbortController().signal,
    };
    await sandbox.use(request, async () => assert.ok(await sandbox.isRunning()));
    await until(() => !existsSync(`/sys/class/net/ob${scope}a`), 'it stops');
    assert.equal(await sandbox.isRunning(), false);
    assert.ok(!existsSync(`/run/netns/orkb-${scope}a`));
    assert.ok(existsSync(join(builds().builder.files.stateDirectory, 'a', 'disk.img')));
  });
}
