import assert from 'node:assert/strict';
import { chownSync, lstatSync, mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ScriptedHost } from './test-host.ts';

const HUB_ENV = 'etc/orkestr/hub.env';
const WITH_DOMAIN = ['--domain', 'hub.example.com', '--email', 'a@example.com'];
const JOINED = 'var/lib/orkestr/agent/identity.json';
const EDITED = `# mine
ORKESTR_HUB_LISTEN="127.0.0.1:7700"
ORKESTR_APPS_URL=http://localhost
  ORKESTR_LOG_LEVEL=debug
# ORKESTR_HUB_URL=http://old`;
const set =
  'settings "$CONFIG_FOLDER/hub.env" orkestr-hub.service "$(hub_settings)" <<END\nA=1\nORKESTR_APPS_URL=http://localhost\nEND\n';

test('a missing settings file is created with the given values, for root only', async (t) => {
  const host = new ScriptedHost(t);
  const { stdout } = await host.run(set, '--hub-here', ...WITH_DOMAIN);
  assert.match(stdout, /^doing {4}write .*hub\.env$/m);
  assert.equal(
    host.read(HUB_ENV),
    'A=1\nORKESTR_APPS_URL=https://hub.example.com\nORKESTR_HUB_URL=https://hub.example.com\n' +
      'ORKESTR_HUB_ACME_EMAIL=a@example.com\n',
  );
  assert.equal(statSync(join(host.root, HUB_ENV)).mode & 0o777, 0o600);
});

test('later options are set in the existing file, and nothing else in it changes', async (t) => {
  const host = new ScriptedHost(t);
  host.file(HUB_ENV, EDITED, 0o640);
  const { stdout } = await host.run(set, '--hub-here', ...WITH_DOMAIN, '--listen', '127.0.0.1:7700');
  assert.equal(
    host.read(HUB_ENV),
    `${EDITED.replace('http://localhost', 'https://hub.example.com')}\n` +
      'ORKESTR_HUB_URL=https://hub.example.com\nORKESTR_HUB_ACME_EMAIL=a@example.com\n',
  );
  assert.equal(statSync(join(host.root, HUB_ENV)).mode & 0o777, 0o640);
  assert.match(
    stdout,
    /set ORKESTR_HUB_URL=https:\/\/hub\.example\.com ORKESTR_APPS_URL=https:\S+ ORKESTR_HUB_ACME_EMAIL/,
  );
  assert.doesNotMatch(stdout, /LISTEN/);
  assert.deepEqual(readdirSync(join(host.root, 'run/orkestr')), ['restart-orkestr-hub.service']);
});

test('nothing is set without options or with options that already hold', async (t) => {
  for (const options of [[], ['--listen', '127.0.0.1:7700']]) {
    const host = new ScriptedHost(t);
    host.file(HUB_ENV, EDITED);
    const { stdout } = await host.run(set, '--hub-here', ...options);
    assert.equal(stdout, '');
    assert.deepEqual(readdirSync(join(host.root, 'run/orkestr')), []);
    assert.equal(host.read(HUB_ENV), EDITED);
  }
});

test('a dry run shows what would be set and changes nothing', async (t) => {
  const host = new ScriptedHost(t);
  host.file(HUB_ENV, EDITED);
  const { stdout } = await host.run(set, '--dry-run', '--hub-here', '--listen', '0.0.0.0:7700');
  assert.match(stdout, /^would {4}set ORKESTR_HUB_LISTEN=0\.0\.0\.0:7700 in/);
  assert.equal(host.read(HUB_ENV), EDITED);
});

test('the last line with a name counts and is the one that is replaced', async (t) => {
  const host = new ScriptedHost(t);
  host.file(HUB_ENV, 'A=1\nB=2\nA=3\n');
  const { stdout } = await host.runBare(
    'setting "$CONFIG_FOLDER/hub.env" A; with_settings "A=4" <"$CONFIG_FOLDER/hub.env"',
  );
  assert.equal(stdout, '3\nA=1\nB=2\nA=4\n');
});

test('a file that is a link stays a link; its target is replaced and keeps its mode and owner', async (t) => {
  const host = new ScriptedHost(t);
  host.file('elsewhere/real', 'old\n', 0o604);
  chownSync(join(host.root, 'elsewhere/real'), 4711, 4712);
  mkdirSync(join(host.root, 'link'));
  symlinkSync('../elsewhere/real', join(host.root, 'link/file'));
  await host.runBare(`replace_text ${join(host.root, 'link/file')} new`);
  assert.ok(lstatSync(join(host.root, 'link/file')).isSymbolicLink());
  assert.equal(readlinkSync(join(host.root, 'link/file')), '../elsewhere/real');
  assert.equal(host.read('elsewhere/real'), 'new\n');
  const { mode, uid, gid } = statSync(join(host.root, 'elsewhere/real'));
  assert.deepEqual([mode & 0o777, uid, gid], [0o604, 4711, 4712]);
});

const acme = 'settings "$CONFIG_FOLDER/proxy.env" orkestr-proxy.service "$(acme_settings)" <<END\nA=1\nEND\n';

test('an agent host gets certificates once an email address is given, from the authorities that its owner chose', async (t) => {
  const host = new ScriptedHost(t);
  host.file(JOINED, '{}');
  await host.run(acme);
  assert.equal(host.read('etc/orkestr/proxy.env'), 'A=1\n');
  await host.run(acme, '--email', 'a@example.com');
  assert.match(
    host.read('etc/orkestr/proxy.env'),
    /^A=1\nORKESTR_PROXY_ACME=https:\S+\nORKESTR_PROXY_ACME_EMAIL=a@example.com\n$/,
  );
  host.file('etc/orkestr/proxy.env', 'ORKESTR_PROXY_ACME=https://ca.example.com/directory\n');
  await host.run(acme, '--email', 'b@example.com');
  assert.equal(
    host.read('etc/orkestr/proxy.env'),
    'ORKESTR_PROXY_ACME=https://ca.example.com/directory\nORKESTR_PROXY_ACME_EMAIL=b@example.com\n',
  );
});

test('a unit with new settings is restarted once, by the next run if this one failed', async (t) => {
  const host = new ScriptedHost(t);
  host.file(JOINED, '{}');
  host.file('run/orkestr/restart-orkestr-hub.service', '');
  const running = ['orkestr-hub.service', 'orkestr-proxy.service'].flatMap((unit) =>
    ['is-active --quiet', 'is-enabled --quiet', 'show --property=MainPID --value'].map((ask) => [`${ask} ${unit}`, '']),
  );
  host.program('systemctl', { ...Object.fromEntries(running), 'restart orkestr-hub.service': [{ code: 1 }, ''] });
  const start = 'start_units orkestr-hub.service orkestr-proxy.service';
  const failed = await host.run(start);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /orkestr-hub\.service does not start with its new settings\.\n.*journalctl/);
  assert.equal((await host.run(start)).stdout, 'doing    restart orkestr-hub.service with its new settings\n');
  assert.equal((await host.run(start)).stdout, '');
});

test('a unit that is started has read its new settings and needs no restart', async (t) => {
  const host = new ScriptedHost(t);
  host.file(JOINED, '{}');
  host.file('run/orkestr/restart-orkestr-hub.service', '');
  host.program('systemctl', {
    'is-active --quiet orkestr-hub.service': { code: 3 },
    'enable --quiet orkestr-hub.service': '',
    'start orkestr-hub.service': '',
  });
  await host.run('start_units orkestr-hub.service');
  assert.deepEqual(readdirSync(join(host.root, 'run/orkestr')), []);
});
