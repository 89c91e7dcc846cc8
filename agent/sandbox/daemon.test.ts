import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Engine } from '../lib/engine.ts';
import { temporaryFolder } from '../test-bench.ts';
import { makeSandboxDaemon } from './daemon.ts';

test('an engine is waited for by time that passes, and not by a wall clock that is set meanwhile', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'nsenter'), '#!/bin/sh\nexec /bin/sleep 60\n');
  chmodSync(join(folder, 'nsenter'), 0o700);
  const { PATH } = process.env;
  process.env['PATH'] = folder;
  let [tries, now, pid] = [0, Date.now(), 0];
  t.after(() => {
    process.env['PATH'] = PATH;
    if (pid > 0) process.kill(pid, 'SIGKILL');
  });
  const engine: Engine = {
    socketPath: join(folder, 'docker.sock'),
    async call<T>() {
      tries += 1;
      if (tries < 3) throw new Error('it does not listen yet');
      return undefined as T;
    },
  };
  t.mock.method(Date, 'now', () => (now += 86_400_000));
  const daemon = makeSandboxDaemon(
    { stateDirectory: join(folder, 'state'), dataDirectory: join(folder, 'data'), runDirectory: join(folder, 'run') },
    () => engine,
  );
  await daemon.start({
    namespacePath: '/run/netns/none',
    cgroupParent: '/none',
    joinGroup: (of) => void (pid = of),
    scope: '0a0b0c0d',
    mtu: 1500,
    nameServers: [],
    cacheBytes: 1,
  });
  assert.equal(tries, 3);
});
