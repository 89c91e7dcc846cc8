import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { FlipRequest } from '../../protocol/proxy-admin.ts';
import { ScriptedHost } from './test-host.ts';

const HUB_ENV = 'etc/orkestr/hub.env';
const IDENTITY = 'var/lib/orkestr/agent/identity.json';
const TABLE = '-fsS --max-time 15 --unix-socket ROOT/run/orkestr/proxy.sock http://proxy/v1/table';
const UPSTREAM = '00000000-0000-4000-8000-000000000001';
const APP = '00000000-0000-4000-8000-000000000002';
const WITH_DOMAIN = ['--hub-here', '--domain', 'hub.example.com', '--email', 'a@example.com'];

test('the hub is reached at its listen address: the given one, the one set before, or the default', async (t) => {
  const cases = [
    ['127.0.0.1:7700', 'http://127.0.0.1:7700'],
    ['0.0.0.0:80', 'http://127.0.0.1:80'],
    ['[::]:7700', 'http://[::1]:7700'],
    ['[::1]:7700', 'http://[::1]:7700'],
    ['10.0.0.5:7701', 'http://10.0.0.5:7701'],
  ] as const;
  for (const [listen, url] of cases) {
    const host = new ScriptedHost(t);
    assert.equal((await host.run('echo "$hub"', '--hub-here')).stdout, 'http://127.0.0.1:7700\n');
    assert.equal((await host.run('echo "$hub"', '--hub-here', '--listen', listen)).stdout, `${url}\n`);
    host.file(HUB_ENV, `ORKESTR_HUB_LISTEN=${listen}\n`);
    assert.equal((await host.run('echo "$hub"', '--hub-here')).stdout, `${url}\n`);
  }
});

test('a listen address that the hub would not accept is refused', async (t) => {
  for (const listen of ['::1:7700', '[::1]', '10.0.0.5', '[x]:1', '10.0.0.5:']) {
    const { code, stderr } = await new ScriptedHost(t).run('', '--hub-here', '--listen', listen);
    assert.equal(code, 1, listen);
    assert.match(stderr, /--listen: .* is not valid/);
  }
  const { stderr } = await new ScriptedHost(t).run('', ...WITH_DOMAIN, '--listen', '[::1]:7700');
  assert.match(stderr, /cannot serve a hub at \[::1\]:7700/);
});

function routedHost(t: TestContext, address: string, port: number, responseSeconds = 900): ScriptedHost {
  const host = new ScriptedHost(t);
  const target = { id: UPSTREAM, address, port, state: 'healthy' };
  const edge = { https: 'auto', responseSeconds, idleSeconds: 3600 };
  const upstream = { id: UPSTREAM, generation: 1, routes: [{ host: 'hub.example.com' }], edge, targets: [target] };
  const other = { ...upstream, id: APP, edge: { responseSeconds: 900 }, targets: [{ ...target, id: APP }] };
  const table = JSON.stringify({ version: 1, upstreams: [other, upstream, other] });
  host.program('curl', { [TABLE.replace('ROOT', host.root)]: table });
  return host;
}

test('the hub counts as routed only if the proxy routes the domain to its listen address', async (t) => {
  const routed = 'if is_routed; then echo routed; fi';
  const cases = [
    ['127.0.0.1', 7700, [], 'routed\n'],
    ['127.0.0.1', 77001, [], ''],
    ['127.0.0.1', 7700, ['--listen', '[::]:7700'], 'routed\n'],
    ['127.0.0.1', 7700, ['--listen', '127.0.0.1:7701'], ''],
    ['127.0.0.1', 7700, ['--listen', '10.0.0.5:7700'], ''],
    ['10.0.0.5', 7700, ['--listen', '10.0.0.5:7700'], 'routed\n'],
  ] as const;
  for (const [address, port, options, said] of cases) {
    const { stdout } = await routedHost(t, address, port).run(routed, ...WITH_DOMAIN, ...options);
    assert.equal(stdout, said, `${address}:${port} ${options.join(' ')}`);
  }
});

test('the hub gets a longer response timeout than apps by default, even if an earlier release routed it', async (t) => {
  const before = await routedHost(t, '127.0.0.1', 7700, 60).run('is_routed || echo again', ...WITH_DOMAIN);
  assert.equal(before.stdout, 'again\n');
  const host = new ScriptedHost(t);
  host.programText('curl', `case "$*" in *flip) cat >${join(host.root, 'sent')} ;; esac`);
  await host.run('route_domain', ...WITH_DOMAIN);
  const { entry, expectedGeneration } = FlipRequest.parse(JSON.parse(host.read('sent')));
  assert.deepEqual([expectedGeneration, entry.routes[0]?.host], [0, 'hub.example.com']);
  assert.equal(entry.edge.responseSeconds, 900);
});

const identity = (url: string): string => JSON.stringify({ hostId: 'x', hub: { url, publicKey: 'k' } }, null, 2);
/** Runs install_hub with everything but settings and the agent stubbed out. */
const ONLY_AGENT =
  'install_units() { :; }; start_units() { :; }; has_admin_token() { :; }; install_hub; ls "$RUN_FOLDER"';

test('a hub that moves to another listen address updates its own agent', async (t) => {
  const host = new ScriptedHost(t);
  host.file(HUB_ENV, 'ORKESTR_HUB_LISTEN=127.0.0.1:7700\n');
  host.file(IDENTITY, `${identity('http://127.0.0.1:7700')}\n`);
  const { stdout } = await host.run(`is_of_hub; ${ONLY_AGENT}`, '--hub-here', '--listen', '10.0.0.5:7700');
  assert.equal(host.read(IDENTITY), `${identity('http://10.0.0.5:7700')}\n`);
  assert.equal(statSync(join(host.root, IDENTITY)).mode & 0o777, 0o600);
  assert.match(stdout, /^restart-orkestr-agent\.service\nrestart-orkestr-hub\.service\n$/m);

  assert.equal((await host.run('is_of_hub', '--hub', 'https://other.example.com')).code, 1, 'not of just any hub');
  const again = await host.run(`is_of_hub; ${ONLY_AGENT}`, '--hub-here');
  assert.doesNotMatch(again.stdout, /doing/);
});

test('a host of another hub is not treated as one of this hub', async (t) => {
  for (const options of [['--hub-here'], ['--hub', 'https://other.example.com']]) {
    const host = new ScriptedHost(t);
    host.file(IDENTITY, identity('https://hub.example.com'));
    assert.equal((await host.run('is_of_hub', ...options)).code, 1);
    assert.equal((await host.run('is_of_hub', '--hub', 'https://hub.example.com')).code, 0);
  }
});

/** Programs of the release on this host, each given as shell lines. */
function programs(host: ScriptedHost, texts: Readonly<Record<string, string>>): void {
  const folder = join(host.root, 'opt/orkestr/current/bin');
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
}

const TOKEN = 'etc/orkestr/admin-token';
const MAKE_TOKEN = 'has_admin_token || act "make an admin token" make_admin_token';
const TAKEN = 'case $ORKESTR_TOKEN in right) exit 0 ;; *) exit 1 ;; esac';

test('a lost, empty or refused admin token is replaced, and one that the hub accepts is kept', async (t) => {
  const setup = 'echo "ORK_CONFLICT: This hub is already set up." >&2; exit 1';
  for (const before of [null, '', 'of another hub\n', 'right\n']) {
    const host = new ScriptedHost(t);
    host.programText('setpriv', 'shift 6; exec "$@"');
    programs(host, {
      orkestr: TAKEN,
      'orkestr-hub': `case $1 in token) echo '{"token":"new"}' ;; *) ${setup} ;; esac`,
    });
    if (before !== null) host.file(TOKEN, before);
    const { code, stderr } = await host.run(MAKE_TOKEN, '--hub-here');
    assert.deepEqual([code, stderr, host.read(TOKEN)], [0, '', before === 'right\n' ? before : 'new\n']);
    assert.equal(statSync(join(host.root, TOKEN)).mode & 0o777, 0o600);
  }
});

test('an offline hub keeps its admin token, and a new hub gets its first user', async (t) => {
  const host = new ScriptedHost(t);
  host.programText('setpriv', 'shift 6; exec "$@"');
  programs(host, {
    orkestr: 'exit 4',
    'orkestr-hub': `case $1 in setup) echo '{"token":"first"}' ;; *) exit 1 ;; esac`,
  });
  await host.run(MAKE_TOKEN, '--hub-here');
  assert.equal(host.read(TOKEN), 'first\n');
  const again = await host.run(MAKE_TOKEN, '--hub-here');
  assert.equal(again.stdout, '');
});

test("the installer shows the hub's message if the hub issues no join token", async (t) => {
  const host = new ScriptedHost(t);
  host.file(TOKEN, 'secret');
  const answer = (orkestr: string): void => programs(host, { orkestr });
  const join_token = 'token=$(join_token); echo "$token"';
  answer('echo "{\\"joinToken\\": \\"orkj_1\\"}"');
  assert.equal((await host.run(join_token, '--hub-here', '--name', 'vps')).stdout, 'orkj_1\n');
  answer('case $2 in add) echo "there is one" >&2; exit 1 ;; *) echo "{\\"joinToken\\": \\"orkj_2\\"}" ;; esac');
  assert.equal((await host.run(join_token, '--hub-here', '--name', 'vps')).stdout, 'orkj_2\n');
  answer('echo "The token was revoked." >&2; exit 1');
  const { code, stdout, stderr } = await host.run(join_token, '--hub-here', '--name', 'vps');
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /did not create a join token for vps: The token was revoked\./);
});
