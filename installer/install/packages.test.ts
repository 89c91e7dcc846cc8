import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedHost } from './test-host.ts';

const JOINED = 'var/lib/orkestr/agent/identity.json';
const UPDATE = '-q update';
const INSTALL =
  '-q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install --no-install-recommends --';
const LISTS_LOCKED = {
  code: 100,
  stderr: 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)\n',
};

/** A Debian host with all needed programs except the named ones. */
function debian(t: import('node:test').TestContext, ...without: string[]): ScriptedHost {
  const host = new ScriptedHost(t);
  host.file(JOINED, '{}');
  const needed = 'curl update-ca-certificates tar xz git iptables ip ss nsenter fstrim mkfs.ext4 openssl'.split(' ');
  for (const name of needed.filter((name) => !without.includes(name))) host.program(name, {});
  host.program('dpkg', { '--audit': '' });
  host.program('sleep', { 5: '' });
  return host;
}

test('the package manager is not called if nothing is missing', async (t) => {
  const host = debian(t);
  host.program('apt-get', {});
  assert.equal((await host.run('check_packages; install_packages')).stdout, '');
});

test('the packages that a minimal image lacks are installed, each once', async (t) => {
  const host = debian(t, 'update-ca-certificates', 'ip', 'ss', 'nsenter', 'fstrim', 'curl');
  host.program('apt-get', { [UPDATE]: '', [`${INSTALL} ca-certificates curl iproute2 util-linux`]: '' });
  const { code, stdout } = await host.run('check_packages; install_packages');
  assert.equal(stdout, 'doing    install ca-certificates curl iproute2 util-linux\n');
  assert.equal(code, 0);
});

test('RHEL-like distributions have their own package names', async (t) => {
  const host = debian(t, 'update-ca-certificates', 'xz', 'iptables');
  host.program('dnf', { '-q -y install -- ca-certificates iptables-nft xz': '' });
  const { code, stderr } = await host.run('check_packages; install_packages');
  assert.equal(code, 0, stderr);
});

test('missing packages are reported before anything changes if there is no package manager', async (t) => {
  const host = debian(t, 'xz');
  host.program('update-ca-trust', {});
  const { stderr } = await host.run('check_packages; echo "$problems" >&2');
  assert.match(stderr, /Neither apt-get nor dnf is available to install: xz\n.*\n1\n/);
});

test('the installer waits for another package manager and says so once for each lock', async (t) => {
  const host = debian(t, 'git');
  const dpkgLocked = {
    code: 100,
    stderr: 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 9 (x)\n',
  };
  host.program('apt-get', {
    [UPDATE]: [LISTS_LOCKED, LISTS_LOCKED, LISTS_LOCKED, ''],
    [`${INSTALL} git`]: [dpkgLocked, ''],
  });
  const { code, stdout } = await host.run('install_packages');
  assert.equal(code, 0);
  assert.equal(stdout.match(/^waiting/gm)?.length, 2, 'once for each lock');
  assert.match(stdout, /^waiting {2}for another package manager, at most 10 minutes: .*812 \(apt-get\)$/m);
  assert.equal(host.calls().filter((call) => call === 'sleep 5').length, 4);
});

test('a lock that is never released ends the run with an error that names its holder', async (t) => {
  const host = debian(t, 'git');
  host.program('apt-get', { [UPDATE]: LISTS_LOCKED });
  const { code, stderr } = await host.run('LOCK_SECONDS=10; install_packages');
  assert.equal(code, 1);
  assert.match(stderr, /held by process 812[^]*The package manager could not read its lists/);
});

test('the installer does not wait on another failure', async (t) => {
  const host = debian(t, 'git');
  host.program('apt-get', {
    [UPDATE]: '',
    [`${INSTALL} git`]: { code: 100, stderr: 'E: Unable to locate package git\n' },
  });
  const { code, stderr } = await host.run('install_packages');
  assert.equal(code, 1);
  assert.match(stderr, /Unable to locate[^]*could not install git/);
  assert.ok(!host.calls().includes('sleep 5'));
});

test('an interrupted dpkg run is finished before the first package is installed, and waits for its lock as well', async (t) => {
  const host = debian(t, 'git');
  const configure = '--configure -a --force-confdef --force-confold';
  const locked = { code: 2, stderr: 'dpkg: error: dpkg frontend lock was locked by another process with pid 7\n' };
  host.program('dpkg', { '--audit': 'The following packages are only half configured:\n', [configure]: [locked, ''] });
  host.program('apt-get', { [UPDATE]: '', [`${INSTALL} git`]: '' });
  const { code, stdout } = await host.run('install_packages');
  assert.equal(code, 0);
  assert.match(stdout, /^doing {4}finish an interrupted run of dpkg[^]*^doing {4}install git$/m);
  const managers = host.calls().filter((call) => !/^sleep|audit/.test(call));
  assert.deepEqual(managers.slice(0, 3), [`dpkg ${configure}`, `dpkg ${configure}`, `apt-get ${UPDATE}`]);
});

test('a dry run shows the repair of dpkg and the packages to install, and runs neither', async (t) => {
  const host = debian(t, 'git');
  host.program('dpkg', { '--audit': 'half configured\n' });
  host.program('apt-get', {});
  const { stdout } = await host.run('install_packages; add_packages docker.io', '--dry-run');
  assert.match(stdout, /^would {4}finish .*dpkg --configure -a\nwould {4}install git\nwould {4}install docker\.io\n$/);
});

test('a package manager asks nothing, restarts no services of others, and does not read the join token', async (t) => {
  const host = debian(t, 'git');
  host.programText('apt-get', `echo "$DEBIAN_FRONTEND $NEEDRESTART_MODE $LC_ALL read:$(cat)" >>${host.root}/seen`);
  await host.runBare('echo token | { install_packages; cat >"$TMPDIR/token"; }');
  assert.equal(host.read('seen'), 'noninteractive l C read:\n'.repeat(2));
  assert.equal(host.read('tmp/token'), 'token\n');
});
