import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type Docker from 'dockerode';
import { OrkestrError } from '../../protocol/errors.ts';
import { scripted } from '../deployment/test-ports.ts';
import type { Engine } from '../lib/engine.ts';
import type { Exec } from '../lib/exec.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { readEngineSettings } from './engine-settings.ts';
import { takeBackLiveRestore } from './live-restore.ts';

/** The files as an installation leaves them on a host whose engine had settings. */
function installedFiles(t: TestContext): { settings: string; were: string } {
  const folder = temporaryFolder(t);
  const files = { settings: join(folder, 'daemon.json'), were: join(folder, 'engine-settings-were') };
  writeFileSync(files.settings, '{"live-restore":true,"debug":true}');
  writeFileSync(files.were, 'there\n');
  return files;
}

/** An engine that tells one of these after the other, and how often it was asked. */
function engineTelling(...told: readonly (boolean | Error)[]): { engine: Engine; asked: () => number } {
  let asked = 0;
  const info = (async () => {
    const next = told[asked];
    asked += 1;
    if (next instanceof Error) throw next;
    return { LiveRestoreEnabled: next };
  }) as Docker['info'];
  const call: Engine['call'] = (_what, work) =>
    work(scripted<Docker>('docker', { info }), new AbortController().signal);
  return { engine: scripted<Engine>('engine', { call }), asked: () => asked };
}

/** A systemctl that ends with this code, and what it was called with. */
function systemctl(exitCode: number, stderr = ''): { by: Exec; calls: string[] } {
  const calls: string[] = [];
  const by: Exec = async (program, args) => {
    calls.push([program, ...args].join(' '));
    return { exitCode, stdout: '', stderr, timedOut: false };
  };
  return { by, calls };
}

const gone = new OrkestrError('ORK_ENGINE_UNREACHABLE', 'not reachable');

test('a running engine reloads its settings with live-restore off, and the file is as before the installation', async (t) => {
  const files = installedFiles(t);
  const { engine, asked } = engineTelling(true, true, false);
  const { by, calls } = systemctl(0);
  assert.equal(await takeBackLiveRestore(engine, files, by), 'live-restore as before');
  assert.deepEqual([calls, asked()], [['systemctl reload docker.service'], 3]);
  assert.deepEqual([readEngineSettings(files.settings), existsSync(files.were)], [{ debug: true }, false]);
});

test('an engine that does not run, or stops meanwhile, has live-restore off when it is started', async (t) => {
  for (const told of [[gone], [true, gone]]) {
    const files = installedFiles(t);
    const done = await takeBackLiveRestore(engineTelling(...told).engine, files, systemctl(0).by);
    assert.equal(done, 'live-restore as before, once the engine is started again');
    assert.deepEqual(readEngineSettings(files.settings), { debug: true });
  }
});

test('a running engine that cannot be told is a warning with the reason, and the file is as before all the same', async (t) => {
  const hangs = new OrkestrError('ORK_ENGINE_TIMEOUT', 'It hangs.');
  const cases = [
    [engineTelling(true), systemctl(5, 'Unit docker.service not found.'), /Unit docker\.service not found/],
    [engineTelling(hangs), systemctl(0), /It hangs/],
  ] as const;
  for (const [{ engine }, { by }, reason] of cases) {
    const files = installedFiles(t);
    const done = await takeBackLiveRestore(engine, files, by);
    assert.ok(typeof done === 'object');
    assert.match(done.warning, reason);
    assert.deepEqual([readEngineSettings(files.settings), existsSync(files.were)], [{ debug: true }, false]);
  }
});

test('settings that somebody has changed since, or that no installation changed, are left alone', async (t) => {
  const files = installedFiles(t);
  const { engine, asked } = engineTelling();
  writeFileSync(files.settings, '{"live-restore":false}');
  assert.equal(await takeBackLiveRestore(engine, files), 'changed since by somebody else');
  const none = { ...files, were: join(temporaryFolder(t), 'none') };
  assert.equal(await takeBackLiveRestore(engine, none), 'not changed by the installation');
  assert.deepEqual([readEngineSettings(files.settings), asked()], [{ 'live-restore': false }, 0]);
});
