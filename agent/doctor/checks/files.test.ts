import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import type { Finding } from '../check.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject, SubjectConfig } from '../subject.ts';
import { files } from './files.ts';

const HUB_USER = 4711;
const PROXY_GROUP = 4712;

/** A host on which install.sh has installed the hub: settings, a token, state folders. @returns its root */
function installed(t: TestContext): string {
  const root = temporaryFolder(t);
  for (const name of ['etc/orkestr', ...['agent', 'hub', 'backups'].map((one) => `var/lib/orkestr/${one}`)]) {
    mkdirSync(join(root, name), { recursive: true, mode: 0o700 });
  }
  mkdirSync(join(root, 'etc/orkestr/certificates'), { mode: 0o750 });
  chownSync(join(root, 'etc/orkestr/certificates'), 0, PROXY_GROUP);
  writeFileSync(join(root, 'etc/group'), `root:x:0:\norkestr-proxy:x:${PROXY_GROUP}:\n`);
  writeFileSync(join(root, 'etc/passwd'), `root:x:0:0::/root:/bin/sh\norkestr-hub:x:${HUB_USER}:4711::/:/bin/false\n`);
  for (const name of ['agent.env', 'hub.env', 'admin-token']) {
    writeFileSync(join(root, 'etc/orkestr', name), '', { mode: 0o600 });
  }
  for (const name of ['hub', 'backups']) chownSync(join(root, 'var/lib/orkestr', name), HUB_USER, HUB_USER);
  return root;
}

function subjectAt(root: string): Subject {
  const nowhere = join(root, 'nowhere');
  const config = scripted<SubjectConfig>('config', {
    stateFolder: join(root, 'var/lib/orkestr/agent'),
    agentSocket: nowhere,
    proxySocket: nowhere,
    dockerSocket: nowhere,
    sandboxFolder: nowhere,
  });
  return scripted<Subject>('subject', { config, places: { ...HOST_PLACES, root } });
}

async function findings(root: string): Promise<readonly Finding[]> {
  const outcome = await files.run(subjectAt(root), AbortSignal.timeout(5000));
  return 'skipped' in outcome ? [{ problem: 'skipped' }] : outcome.findings;
}

async function found(root: string): Promise<unknown[]> {
  return (await findings(root)).map(({ problem, values }) => [
    problem,
    String(values?.['path']).slice(root.length + 1),
  ]);
}

test('the check reports settings, tokens and hub state that are open to other users', async (t) => {
  const root = installed(t);
  assert.deepEqual(await found(root), []);
  chmodSync(join(root, 'etc/orkestr/hub.env'), 0o644);
  chmodSync(join(root, 'etc/orkestr/admin-token'), 0o640);
  chmodSync(join(root, 'var/lib/orkestr/hub'), 0o755);
  assert.deepEqual(await found(root), [
    ['too-open', 'etc/orkestr/hub.env'],
    ['too-open', 'etc/orkestr/admin-token'],
    ['too-open', 'var/lib/orkestr/hub'],
  ]);
});

test('the check reports a state folder with a wrong owner and settings that another user can change', async (t) => {
  const root = installed(t);
  chownSync(join(root, 'var/lib/orkestr/hub'), 0, 0);
  chownSync(join(root, 'etc/orkestr/agent.env'), HUB_USER, HUB_USER);
  assert.deepEqual(await found(root), [
    ['wrong-owner', 'etc/orkestr/agent.env'],
    ['wrong-owner', 'var/lib/orkestr/hub'],
  ]);
});

test('the check reports and closes folders of certificates and backups that are open to other users', async (t) => {
  const root = installed(t);
  const folders = ['etc/orkestr/certificates', 'var/lib/orkestr/backups'];
  for (const name of folders) chmodSync(join(root, name), 0o755);
  assert.deepEqual(
    await found(root),
    folders.map((name) => ['too-open', name]),
  );
  for (const finding of await findings(root)) await files.fix?.(finding, subjectAt(root));
  assert.deepEqual(
    folders.map((name) => statSync(join(root, name)).mode & 0o777),
    [0o750, 0o700],
  );
  assert.deepEqual(await found(root), []);
});

test('the check reports certificates and backups of a wrong owner, and certificates that another group reads', async (t) => {
  const root = installed(t);
  chownSync(join(root, 'etc/orkestr/certificates'), HUB_USER, HUB_USER);
  chownSync(join(root, 'var/lib/orkestr/backups'), 65_534, HUB_USER);
  assert.deepEqual(await found(root), [
    ['wrong-owner', 'etc/orkestr/certificates'],
    ['wrong-group', 'etc/orkestr/certificates'],
    ['wrong-owner', 'var/lib/orkestr/backups'],
  ]);
});

test('the check examines and fixes the target of a link, and ignores a dangling link', async (t) => {
  const root = installed(t);
  const elsewhere = temporaryFolder(t);
  for (const name of ['etc/orkestr/hub.env', 'etc/orkestr/agent.env', 'var/lib/orkestr/agent']) {
    renameSync(join(root, name), join(elsewhere, basename(name)));
    symlinkSync(join(elsewhere, basename(name)), join(root, name));
  }
  assert.deepEqual(await found(root), []);
  chmodSync(join(elsewhere, 'hub.env'), 0o644);
  chownSync(join(elsewhere, 'agent.env'), HUB_USER, HUB_USER);
  assert.deepEqual(await found(root), [
    ['wrong-owner', 'etc/orkestr/agent.env'],
    ['too-open', 'etc/orkestr/hub.env'],
  ]);
  for (const finding of await findings(root)) {
    if (finding.problem === 'too-open') await files.fix?.(finding, subjectAt(root));
  }
  assert.equal(statSync(join(elsewhere, 'hub.env')).mode & 0o777, 0o600);
  rmSync(join(elsewhere, 'agent.env'));
  assert.deepEqual(await found(root), []);
});
