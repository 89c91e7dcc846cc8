import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { groupsOf, installPackages, missingPackages, readPackages } from './debian.mjs';
import { completePath } from './programs.mjs';

let folder: string;
const quiet = (): void => undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ork-debian-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The system's edge: an apt-get that records its arguments, prints something and exits. */
function fakeApt(says: string, code: number): { env: NodeJS.ProcessEnv; logFile: string; calls: () => string[] } {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const calls = join(folder, 'calls');
  writeFileSync(
    join(bin, 'apt-get'),
    `#!${process.execPath}\nconst fs = require('node:fs');
fs.appendFileSync(${JSON.stringify(calls)}, process.argv.slice(2).join(' ') + ' ' + process.env.DEBIAN_FRONTEND + '\\n');
if (process.argv.includes('install')) { console.log(${JSON.stringify(says)}); process.exit(${code}); }\n`,
  );
  chmodSync(join(bin, 'apt-get'), 0o755);
  const env = { PATH: bin };
  return { env, logFile: join(folder, 'apt.log'), calls: () => readFileSync(calls, 'utf8').trim().split('\n') };
}

test('only packages with a missing program or file are requested', () => {
  writeFileSync(join(folder, 'ip'), '', { mode: 0o755 });
  writeFileSync(join(folder, 'git'), 'not executable', { mode: 0o644 });
  const packages = new Map([
    ['iproute2', ['ip']],
    ['git', ['git']],
    ['docker.io', ['ip', 'dockerd']],
    ['library', [join(folder, 'ip')]],
    ['other library', [join(folder, 'nowhere')]],
  ]);
  assert.deepEqual(missingPackages(packages, folder), ['git', 'docker.io', 'other library']);
});

test('the package lists cover both commands, and a trimmed PATH is completed', () => {
  assert.ok(readPackages(['start']).has('docker.io'));
  assert.ok(readPackages(['start', 'test']).has('chromium'));
  assert.equal(readPackages([]).size, 0);
  const compilers = (arch: string): string[] =>
    [...readPackages(['test/arm64/main.ts'], arch).keys()].filter((name) => name.startsWith('g++'));
  assert.deepEqual(compilers('x64'), ['g++', 'g++-aarch64-linux-gnu']);
  assert.deepEqual(compilers('arm64'), ['g++', 'g++-x86-64-linux-gnu']);
  const packagesOf = (...args: string[]): string[] => [
    ...readPackages(groupsOf('installer/release/main.ts', args)).keys(),
  ];
  assert.ok(packagesOf('--key', 'k.pem', '--measure').includes('iptables'));
  assert.ok(!packagesOf('--key', 'k.pem').includes('iptables'));
  assert.match(completePath('/opt/x'), /^\/opt\/x:.*\/usr\/sbin/);
  assert.match(completePath(undefined), /\/usr\/bin/);
});

test('apt is updated, then installs without recommends, questions or removals', async () => {
  const apt = fakeApt('Setting up docker.io', 0);
  await installPackages(['docker.io', 'git'], { ...apt, say: quiet });
  const [update = '', install = ''] = apt.calls();
  assert.match(update, / update noninteractive$/);
  assert.match(install, / install -y --no-install-recommends --no-remove docker\.io git noninteractive$/);
  assert.match(readFileSync(apt.logFile, 'utf8'), /Setting up docker\.io/);
});

test('an apt failure is explained in a sentence, with what to do and the lines that show it', async () => {
  const cases: [string, RegExp][] = [
    ['E: Packages need to be removed but remove is disabled.', /conflicts/],
    ['E: Could not get lock /var/lib/dpkg/lock-frontend.', /Another package manager/],
    ['E: Unable to locate package debootstrap', /unknown to this system/],
    ['Err:1 Temporary failure resolving deb.example', /mirror could not be reached/],
    ['write error (28: No space left on device)', /disk is full/],
    ['something new', /could not install docker\.io/],
  ];
  for (const [says, message] of cases) {
    const apt = fakeApt(says, 100);
    await assert.rejects(
      installPackages(['docker.io'], { ...apt, say: quiet }),
      (error: Error & { mend?: string; evidence?: string[] }) => {
        assert.match(error.message, message);
        assert.match(error.mend ?? '', /apt\.log/);
        assert.ok(error.evidence?.includes(says));
        return true;
      },
    );
  }
});

test('the error without apt-get names the missing packages', async () => {
  const context = { env: { PATH: folder }, logFile: join(folder, 'apt.log'), say: quiet };
  await assert.rejects(
    installPackages(['docker.io', 'iptables'], context),
    /no apt-get to install it: docker\.io, iptables/,
  );
});
