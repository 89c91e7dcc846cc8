import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ScriptedHost } from './test-host.ts';

const install =
  'for step in add_user make_folder keep_containers install_units start_units; do eval "$step() { :; }"; done; install_host';

test('a given channel is kept for upgrades', async (t) => {
  const host = new ScriptedHost(t);
  host.file('var/lib/orkestr/agent/identity.json', '{}');
  await host.run(install);
  assert.doesNotMatch(host.read('etc/orkestr/agent.env'), /ORKESTR_CHANNEL/);
  await host.run(install, '--channel', 'beta');
  assert.match(host.read('etc/orkestr/agent.env'), /^ORKESTR_LOG_LEVEL=info\nORKESTR_CHANNEL=beta$/m);
});

test('a folder that its owner moved elsewhere with a link is accepted like one in place', async (t) => {
  const host = new ScriptedHost(t);
  host.file('var/lib/orkestr/agent/identity.json', '{}');
  host.program('install', { '*': '' });
  mkdirSync(join(host.root, 'srv/elsewhere'), { recursive: true });
  symlinkSync('srv/elsewhere', join(host.root, 'link'));
  for (const [mode, said] of [
    [0o711, ''],
    [0o755, `doing    make ${host.root}/link\n`],
  ] as const) {
    chmodSync(join(host.root, 'srv/elsewhere'), mode);
    assert.equal((await host.run(`make_folder '${host.root}/link' 711`)).stdout, said);
  }
});

test("the run ends with the doctor's findings about the owner's packet filter, if there are any", async (t) => {
  for (const [options, code, told] of [
    [[], 2, 'fail  nftables\n'],
    [[], 0, ''],
    [['--dry-run'], 2, ''],
  ] as const) {
    const host = new ScriptedHost(t);
    host.file('var/lib/orkestr/agent/identity.json', '{}');
    const agent = `#!/bin/sh\n[ "$*" = 'doctor nftables legacy-rules' ] && echo 'fail  nftables'; exit ${code}\n`;
    host.file('opt/orkestr/current/bin/orkestr-agent', agent, 0o755);
    const { code: ended, stderr } = await host.run('check_rules', ...options);
    assert.deepEqual([ended, stderr], [0, told]);
  }
});

test('the next run completes one that was interrupted after the new release: it checks what is running', async (t) => {
  for (const [runs, done] of [
    ['releases/1.1.0/bin/node', 'doing    switch orkestr-agent.service to the new release\n'],
    ['releases/1.2.0/bin/node', ''],
    ['releases/1.2.0-rc.1/bin/node', 'doing    switch orkestr-agent.service to the new release\n'],
    ['elsewhere/node', ''],
  ] as const) {
    const host = new ScriptedHost(t);
    host.file('var/lib/orkestr/agent/identity.json', '{}');
    const folder = join(host.root, 'opt/orkestr');
    mkdirSync(join(folder, 'releases/1.2.0'), { recursive: true });
    symlinkSync('releases/1.2.0', join(folder, 'current'));
    mkdirSync(join(host.root, 'proc/47'), { recursive: true });
    symlinkSync(join(folder, runs), join(host.root, 'proc/47/exe'));
    host.program('systemctl', {
      'is-active --quiet orkestr-agent.service': '',
      'is-enabled --quiet orkestr-agent.service': '',
      'show --property=MainPID --value orkestr-agent.service': '47\n',
      'reload-or-restart orkestr-agent.service': '',
    });
    const { code, stdout } = await host.run('version=1.2.0; start_units orkestr-agent.service');
    assert.deepEqual([code, stdout], [0, done]);
  }
});

const IDENTITY = 'var/lib/orkestr/agent/identity.json';
const HUB = 'https://hub.example.com';
const WHOLE = `${JSON.stringify({ hostId: 'x', hub: { url: HUB, publicKey: 'k' }, since: 'then' }, null, 2)}\n`;
const CUT = WHOLE.slice(0, WHOLE.indexOf('},') + 1);

test('a truncated identity is reported as damaged, with the way that keeps the apps, not as that of another hub', async (t) => {
  for (const text of [CUT, WHOLE.slice(0, 30), '', '\0'.repeat(WHOLE.length)]) {
    const host = new ScriptedHost(t);
    host.file(IDENTITY, text);
    for (const options of [['--hub', HUB], []]) {
      const { stderr } = await host.run('check_joined', ...options);
      assert.match(stderr, /identity of this host is damaged: .*identity\.json\.\n.*orkestr hosts join-token NAME/);
    }
    for (const options of [['--hub-here'], ['--hub', HUB, '--token', 'join']]) {
      assert.equal((await host.run('check_joined', ...options)).stderr, '');
    }
  }
});

test('a complete identity is accepted, however it is formatted', async (t) => {
  for (const text of [WHOLE, WHOLE.trimEnd(), JSON.stringify(JSON.parse(WHOLE))]) {
    const host = new ScriptedHost(t);
    host.file(IDENTITY, text);
    const { code, stderr } = await host.run('check_joined; is_joined');
    assert.deepEqual([code, stderr], [0, '']);
  }
});

test('a host with a damaged identity joins again, and a running agent is restarted', async (t) => {
  const host = new ScriptedHost(t);
  host.file(IDENTITY, CUT);
  host.file('opt/orkestr/current/bin/orkestr-agent', '#!/bin/sh\necho "$*"\ncat\n', 0o755);
  host.program('systemctl', {
    'is-active --quiet orkestr-agent.service': '',
    'is-enabled --quiet orkestr-agent.service': '',
    'restart orkestr-agent.service': '',
  });
  const { code, stdout } = await host.run('join_hub', '--hub', HUB, '--token', 'once', '--name', 'vps-1');
  assert.equal(code, 0);
  assert.match(stdout, /^join --hub \S+ --token - --name vps-1\nonce\ndoing {4}restart orkestr-agent\.service/m);
});
