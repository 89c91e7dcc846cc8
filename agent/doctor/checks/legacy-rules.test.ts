import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import type { Exec } from '../../lib/exec.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject } from '../subject.ts';
import { legacyRules } from './legacy-rules.ts';

const NEWER = 'iptables v1.8.9 (nf_tables)\n';

/** @param tables of iptables-legacy; asked for its rules without any, it would create some */
async function found(t: TestContext, tables: string, version: string, rules: string): Promise<string[]> {
  const proc = temporaryFolder(t);
  mkdirSync(join(proc, 'net'));
  writeFileSync(join(proc, 'net/ip_tables_names'), tables);
  const exec: Exec = async (program) => {
    if (program === 'iptables-legacy') assert.match(tables, /filter/);
    return { exitCode: 0, stdout: program === 'iptables' ? version : rules, stderr: '', timedOut: false };
  };
  const subject = scripted<Subject>('subject', { places: { ...HOST_PLACES, proc }, exec, has: () => true });
  const outcome = await legacyRules.run(subject, new AbortController().signal);
  return 'skipped' in outcome ? ['skipped'] : outcome.findings.map(({ problem }) => problem);
}

test('the check reports iptables-legacy rules that block forwarding where iptables uses nf_tables', async (t) => {
  const drop = '-P FORWARD DROP\n-A FORWARD -i docker0 -j ACCEPT\n';
  assert.deepEqual(await found(t, 'nat\nfilter\n', NEWER, drop), ['drops']);
  assert.deepEqual(await found(t, 'filter\n', NEWER, '-P FORWARD ACCEPT\n'), []);
  assert.deepEqual(await found(t, 'filter\n', NEWER, '-P FORWARD DROP\n-A FORWARD -j ACCEPT\n'), []);
  assert.deepEqual(await found(t, '', NEWER, drop), ['skipped']);
  assert.deepEqual(await found(t, 'filter\n', 'iptables v1.8.9 (legacy)\n', drop), ['skipped'], 'they are its own');
});
