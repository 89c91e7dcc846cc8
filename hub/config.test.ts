import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OrkestrError } from '../protocol/errors.ts';
import { readConfig } from './config.ts';

test('an empty environment yields the defaults', () => {
  const config = readConfig({});
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 7700 });
  assert.equal(config.publicUrl, undefined);
  assert.equal(config.appsUrl, 'http://localhost:8080');
  assert.equal(config.allowHttpRepositories, false);
});

test('IPv4 and IPv6 addresses are parsed', () => {
  assert.deepEqual(readConfig({ ORKESTR_HUB_LISTEN: '[::1]:0' }).listen, { host: '::1', port: 0 });
  assert.equal(readConfig({ ORKESTR_HUB_URL: 'https://hub.example.com/' }).publicUrl, 'https://hub.example.com');
});

test("loopback and the hub's own listen address are trusted as proxies, others only by ORKESTR_HUB_TRUSTED", () => {
  const trusted = (env: Record<string, string>): readonly string[] => readConfig(env).trusted;
  const loopback = ['127.0.0.0/8', '::1/128'];
  assert.deepEqual(trusted({}), [...loopback, '127.0.0.1/32']);
  assert.deepEqual(trusted({ ORKESTR_HUB_LISTEN: '10.0.0.5:7700' }), [...loopback, '10.0.0.5/32']);
  assert.deepEqual(trusted({ ORKESTR_HUB_LISTEN: '[fd00::5]:7700' }), [...loopback, 'fd00::5/128']);
  for (const all of ['0.0.0.0:7700', '[::]:7700', 'localhost:7700']) {
    assert.deepEqual(trusted({ ORKESTR_HUB_LISTEN: all }), loopback, all);
  }
  assert.deepEqual(trusted({ ORKESTR_HUB_LISTEN: '[::]:1', ORKESTR_HUB_TRUSTED: '10.0.0.9,fd00::/8' }), [
    ...loopback,
    '10.0.0.9/32',
    'fd00::/8',
  ]);
});

const wrong = {
  ORKESTR_HUB_LISTEN: ['7700', '127.0.0.1', '127.0.0.1:70000', 'a b:1'],
  ORKESTR_HUB_URL: ['hub.example.com', 'ftp://x', 'https://x/path', 'https://u:p@x', 'https://x?a=b'],
  ORKESTR_HUB_TRUSTED: ['10.0.0.0/33', 'proxy.example.com', '::/129'],
  ORKESTR_HUB_ACME_EMAIL: ['you', 'a@b@c', 'a b@c', 'a@b\nX=1'],
  ORKESTR_APPS_URL: [
    '',
    'http://x/y',
    'http://[2001:db8::1]:8080',
    'http://203.0.113.5:8080',
    'http://apps_1.example.com',
    'http://apps.example.com.',
    `http://${'long.'.repeat(38)}example.com`,
  ],
  ORKESTR_ALLOW_HTTP_REPOSITORIES: ['yes', ''],
  ORKESTR_LOG_LEVEL: ['loud'],
  ORKESTR_HUB_SMTP_URL: ['mail.example.com', 'http://mail.example.com', 'smtp://u:p@mail.example.com', 'smtp://m/x'],
  ORKESTR_HUB_SMTP_PASSWORD_FILE: ['password'],
  ORKESTR_HUB_NOTIFY_ALLOW: ['10.0.0.0/33', 'hook.example.com', '10.0.0.0/8/8', '::/129'],
  ORKESTR_HUB_HOST_AWAY_MINUTES: ['0', 'soon', '1.5'],
};
for (const [name, values] of Object.entries(wrong)) {
  test(`an invalid ${name} is refused by its name`, () => {
    for (const value of values) {
      assert.throws(
        () => readConfig({ [name]: value }),
        (error) => error instanceof OrkestrError && error.code === 'ORK_CONFIG' && error.message.includes(name),
        value,
      );
    }
  });
}

test('a mail server is configured with its port, its sender, and its password from a file', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'password');
  writeFileSync(file, 'a pass word\n');
  const env = {
    ORKESTR_HUB_SMTP_URL: 'smtp://mail.example.com',
    ORKESTR_HUB_SMTP_FROM: 'orkestr <hub@example.com>',
    ORKESTR_HUB_SMTP_USER: 'hub',
    ORKESTR_HUB_SMTP_PASSWORD_FILE: file,
  };
  const { mail } = readConfig(env);
  assert.deepEqual(
    [mail?.host, mail?.port, mail?.secure, mail?.plain, mail?.user, mail?.password],
    ['mail.example.com', 587, false, false, 'hub', 'a pass word'],
  );
  const secure = readConfig({ ...env, ORKESTR_HUB_SMTP_URL: 'smtps://[::1]' }).mail;
  assert.deepEqual([secure?.host, secure?.port, secure?.secure], ['::1', 465, true]);
  for (const change of [
    { ORKESTR_HUB_SMTP_FROM: undefined },
    { ORKESTR_HUB_SMTP_PASSWORD_FILE: join(folder, 'none') },
    { ORKESTR_HUB_SMTP_URL: 'smtps://mail.example.com', ORKESTR_HUB_SMTP_PLAIN: '1' },
  ]) {
    const [name = ''] = Object.keys(change).slice(-1);
    assert.throws(() => readConfig({ ...env, ...change }), { code: 'ORK_CONFIG', message: new RegExp(name) });
  }
});

test('the allow list for notifications is parsed as networks', () => {
  const { notify } = readConfig({
    ORKESTR_HUB_NOTIFY_ALLOW: '10.0.0.5, fd00::/8,::1',
    ORKESTR_HUB_NOTIFY_PRIVATE: '0',
  });
  assert.deepEqual(notify, { allowPrivate: false, allow: ['10.0.0.5/32', 'fd00::/8', '::1/128'] });
  assert.deepEqual(readConfig({}).notify, { allowPrivate: true, allow: [] });
});
