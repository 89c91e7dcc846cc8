import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ScriptedHost } from './test-host.ts';

const INFO = '-fsS --max-time 30 --unix-socket /run/docker.sock http://localhost/info';
const SETTINGS = 'etc/docker/daemon.json';
const SNAP = 'cat snap.docker.dockerd.service';
const DOCKER = 'cat docker.service';
const NONE = { code: 7 };
const ABSENT = { code: 1 };

function hostWith(
  t: TestContext,
  info: Parameters<ScriptedHost['program']>[1][string],
  units: string[] = [],
): ScriptedHost {
  const host = new ScriptedHost(t);
  host.file('var/lib/orkestr/agent/identity.json', '{}');
  host.program('curl', { [INFO]: info });
  const unit = (name: string): string | typeof ABSENT => (units.includes(name) ? '[Unit]\n' : ABSENT);
  host.program('systemctl', { [SNAP]: unit(SNAP), [DOCKER]: unit(DOCKER), 'enable --quiet --now docker.service': '' });
  return host;
}

test('an engine that answers is used as it is, wherever its program is', async (t) => {
  const host = hostWith(t, '{"DockerRootDir":"/var/lib/docker"}');
  const { stdout, stderr } = await host.run('check_engine; install_engine');
  assert.equal(stdout + stderr, '');
});

test('a stopped engine is started, not installed', async (t) => {
  const host = hostWith(t, NONE, [DOCKER]);
  const { stdout } = await host.run('check_engine; install_engine');
  assert.equal(stdout, 'doing    start Docker Engine\n');
});

test('a missing engine is installed, with its client where that is a separate package', async (t) => {
  const host = hostWith(t, [NONE, NONE, '{}']);
  host.program('apt-get', {});
  const { stdout } = await host.run('check_engine; get_packages() { :; }; mend_packages() { :; }; install_engine');
  assert.equal(stdout, 'doing    install docker.io\ndoing    install docker-cli\n');
});

test('an engine from a snap is refused before anything changes, whether it runs or not', async (t) => {
  for (const host of [
    hostWith(t, '{"DockerRootDir":"/var/snap/docker/common/var-lib-docker"}'),
    hostWith(t, NONE, [SNAP]),
  ]) {
    const { stderr } = await host.run('check_engine; echo "$problems" >&2');
    assert.match(stderr, /^problem {2}Docker Engine is installed as a snap.*\n.*snap remove docker[^]*\n1\n$/);
  }
});

test('Podman instead of Docker Engine is refused before anything changes, whether it answers or not', async (t) => {
  const standIn = hostWith(t, NONE);
  standIn.program('apt-get', {});
  standIn.programText('docker', 'exec /usr/bin/podman "$@"');
  for (const host of [hostWith(t, '{"BuildahVersion":"1.28.2","LiveRestoreEnabled":false}'), standIn]) {
    const { stderr } = await host.run('check_engine; echo "$problems" >&2');
    assert.match(stderr, /^problem {2}Podman replaces Docker Engine .*\n.*apt-get remove podman-docker[^]*\n1\n$/);
  }
});

test('an engine that is too old is refused before anything changes, whether it runs or not', async (t) => {
  const stopped = hostWith(t, NONE, [DOCKER]);
  stopped.program('dockerd', { '--version': 'Docker version 19.03.15, build 99e3ed8919\n' });
  for (const host of [hostWith(t, '{"ServerVersion":"19.03.15","SwapLimit":true}'), stopped]) {
    const { stderr } = await host.run('check_engine; echo "$problems" >&2');
    assert.match(
      stderr,
      /^problem {2}Docker Engine is 19\.03\.15 here; orkestr needs 20\.10\.\n.*Upgrade it[^]*\n1\n$/,
    );
  }
  const enough = hostWith(t, NONE, [DOCKER]);
  enough.program('dockerd', { '--version': 'Docker version 20.10.24+dfsg1, build 297e128\n' });
  for (const host of [hostWith(t, '{"ServerVersion":"28.0.1"}'), hostWith(t, '{"ServerVersion":"20.10.0"}'), enough])
    assert.equal((await host.run('check_engine')).stderr, '');
});

test('a systemctl that ignores its command, as in a chroot, is not taken for an answer', async (t) => {
  const host = hostWith(t, NONE);
  host.program('systemctl', { '*': { code: 0, stderr: 'Running in chroot, ignoring command\n' } });
  host.program('apt-get', {});
  assert.equal((await host.run('check_engine')).stderr, '');
});

test('the checks report a distribution without an engine, with the fix', async (t) => {
  const host = hostWith(t, NONE);
  host.program('dnf', { '-q list moby-engine': [ABSENT, 'moby-engine.x86_64\n'] });
  const { stderr } = await host.run('check_engine; check_engine; echo "$problems" >&2', '--dry-run');
  assert.match(stderr, /^problem {2}There is no Docker Engine, .* does not provide one\.\n.*docker-ce.*\n1\n$/);
});

test('live-restore is added to the existing settings; mode, link and the rest stay', async (t) => {
  const host = hostWith(t, '{"LiveRestoreEnabled":true}');
  host.program('systemctl', { 'reload docker.service': '' });
  mkdirSync(join(host.root, 'opt/orkestr/current/bin'), { recursive: true });
  symlinkSync(process.execPath, join(host.root, 'opt/orkestr/current/bin/node'));
  host.file('srv/daemon.json', '{"log-driver":"local"}\n', 0o640);
  mkdirSync(join(host.root, 'etc/docker'));
  symlinkSync('../../srv/daemon.json', join(host.root, SETTINGS));
  await host.run('set_live_restore');
  assert.deepEqual(JSON.parse(host.read('srv/daemon.json')), { 'log-driver': 'local', 'live-restore': true });
  assert.equal(statSync(join(host.root, 'srv/daemon.json')).mode & 0o777, 0o640);
  assert.ok(lstatSync(join(host.root, SETTINGS)).isSymbolicLink());
  assert.equal(host.read('etc/orkestr/engine-settings-were'), 'there\n');

  host.file('srv/daemon.json', '');
  await host.run('set_live_restore');
  assert.deepEqual(JSON.parse(host.read('srv/daemon.json')), { 'live-restore': true });

  host.file('srv/daemon.json', '{ no JSON');
  const { code, stderr } = await host.run('set_live_restore');
  assert.equal(code, 1);
  assert.match(stderr, /daemon\.json is not readable JSON/);
  assert.equal(host.read('srv/daemon.json'), '{ no JSON');
});

test('an engine in a swarm is left without live-restore, because with both it would not start again', async (t) => {
  const info = '{"LiveRestoreEnabled":false,"Swarm":{"LocalNodeState":"active"}}';
  const { code, stdout, stderr } = await hostWith(t, info).run('keep_containers');
  assert.equal(code, 0);
  assert.equal(stdout, '');
  assert.match(stderr, /^warning {2}Docker Engine is in swarm mode.*\n.*docker swarm leave --force/);

  const host = hostWith(t, [
    info.replace('active', 'inactive'),
    info.replace('active', 'inactive'),
    '{"LiveRestoreEnabled":true}',
  ]);
  host.program('systemctl', { 'reload docker.service': '' });
  await host.run('keep_containers');
  assert.deepEqual(JSON.parse(host.read(SETTINGS)), { 'live-restore': true });
});

test('a run after an interrupted one remembers what was there before the first', async (t) => {
  const host = hostWith(t, '{"LiveRestoreEnabled":true}');
  host.program('systemctl', { 'reload docker.service': { code: 1 } });
  mkdirSync(join(host.root, 'opt/orkestr/current/bin'), { recursive: true });
  symlinkSync(process.execPath, join(host.root, 'opt/orkestr/current/bin/node'));
  await host.run('set_live_restore; set_live_restore');
  assert.equal(host.read('etc/orkestr/engine-settings-were'), 'no-folder\n');
});

test('missing settings are created, and whether their folder existed is remembered', async (t) => {
  for (const hasFolder of [true, false]) {
    const host = hostWith(t, '{"LiveRestoreEnabled":true}');
    host.program('systemctl', { 'reload docker.service': '' });
    if (hasFolder) mkdirSync(join(host.root, 'etc/docker'));
    assert.equal((await host.run('set_live_restore')).code, 0);
    assert.deepEqual(JSON.parse(host.read(SETTINGS)), { 'live-restore': true });
    assert.equal(host.read('etc/orkestr/engine-settings-were'), hasFolder ? 'absent\n' : 'no-folder\n');
  }
});
