import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import type { Exec } from '../../lib/exec.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import type { Skipped, Verdict } from '../check.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject } from '../subject.ts';
import { units } from './units.ts';

const problems = (outcome: Verdict | Skipped): string[] =>
  'skipped' in outcome ? ['skipped'] : outcome.findings.map(({ problem }) => problem);

test('the check judges units by the output of systemctl and ignores units that are not installed', async (t) => {
  const shown = `Id=orkestr-agent.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
NRestarts=7
UnitFileState=enabled

Id=orkestr-proxy.service
LoadState=loaded
ActiveState=inactive
SubState=dead
Result=success
NRestarts=0
UnitFileState=disabled

Id=docker.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
Result=exit-code
NRestarts=2
UnitFileState=static

Id=orkestr-hub.service
LoadState=not-found
ActiveState=inactive
`;
  const asked: string[][] = [];
  const exec: Exec = async (program, args) => {
    asked.push([program, ...args]);
    return { exitCode: 0, stdout: shown, stderr: '', timedOut: false };
  };
  const root = temporaryFolder(t);
  const subject = scripted<Subject>('subject', { places: { ...HOST_PLACES, root, systemd: root }, exec });
  const outcome = await units.run(subject, AbortSignal.timeout(5000));
  assert.deepEqual(problems(outcome), ['failed', 'restarts', 'inactive', 'disabled', 'restarting']);
  assert.deepEqual(
    asked.map(([program, verb]) => [program, verb]),
    [['systemctl', 'show']],
  );
  assert.ok(asked[0]?.includes('orkestr-hub-backup.service'), 'nobody else tells of a backup that failed at night');
});

/** Output of systemctl for a running unit. */
const WELL = {
  LoadState: 'loaded',
  ActiveState: 'active',
  SubState: 'running',
  Result: 'success',
  NRestarts: '0',
  UnitFileState: 'enabled',
};

const found = (unit: string, shown: Partial<typeof WELL>, installed: readonly string[] = []): unknown[] => {
  const outcome = units.judge({ shown: [{ Id: unit, ...WELL, ...shown }], installed });
  return 'skipped' in outcome ? [] : outcome.findings.map(({ problem, values }) => [problem, values?.['state']]);
};

test('a masked or unreadable unit is reported only as such, because it cannot be started as it is', () => {
  const idle = { ActiveState: 'inactive', SubState: 'dead', UnitFileState: '' };
  assert.deepEqual(found('docker.service', { ...idle, LoadState: 'masked', UnitFileState: 'masked' }), [
    ['masked', undefined],
  ]);
  assert.deepEqual(found('orkestr-agent.service', { ...idle, LoadState: 'bad-setting' }), [
    ['unloadable', 'bad-setting'],
  ]);
  assert.deepEqual(found('orkestr-agent.service', { LoadState: 'error' }), [['unloadable', 'error']]);
});

test('the check reports a missing orkestr unit on a host where it was installed', () => {
  const gone = { LoadState: 'not-found', ActiveState: 'inactive', SubState: 'dead' };
  assert.deepEqual(found('orkestr-proxy.service', gone, ['orkestr-proxy.service']), [['gone', undefined]]);
  assert.deepEqual(found('orkestr-proxy.service', gone), []);
});

test('the expected units are those of the running release, with those of the hub only on a host with a hub', async (t) => {
  const root = temporaryFolder(t);
  const names = ['orkestr-agent.service', 'orkestr-hub.service', 'orkestr-hub-backup.service'];
  for (const folder of ['opt/orkestr/current/units', 'etc/orkestr']) mkdirSync(join(root, folder), { recursive: true });
  for (const name of names) writeFileSync(join(root, 'opt/orkestr/current/units', name), '');
  const stdout = [...names, 'docker.service'].map((name) => `Id=${name}\nLoadState=not-found\n`).join('\n');
  const exec: Exec = async () => ({ exitCode: 0, stdout, stderr: '', timedOut: false });
  const subject = scripted<Subject>('subject', { places: { ...HOST_PLACES, root, systemd: root }, exec });
  const look = async (): Promise<string[]> => problems(await units.run(subject, AbortSignal.timeout(5000)));
  assert.deepEqual(await look(), ['gone']);
  writeFileSync(join(root, 'etc/orkestr/hub.env'), '');
  assert.deepEqual(await look(), ['gone', 'gone', 'gone']);
});

test('an on-demand unit for builds, upgrades or backups is fine while it is idle, but not after a failure', () => {
  const idle = { ActiveState: 'inactive', SubState: 'dead', UnitFileState: 'static' };
  for (const unit of ['orkestr-build.service', 'orkestr-upgrade.service', 'orkestr-hub-backup.service']) {
    assert.deepEqual(found(unit, idle), []);
    assert.deepEqual(found(unit, { ...idle, ActiveState: 'failed' }), [['failed', undefined]]);
    assert.deepEqual(found(unit, { ...idle, LoadState: 'masked' }), [['masked', undefined]]);
  }
});
