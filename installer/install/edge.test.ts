import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ScriptedHost } from './test-host.ts';

const DROP_IN = 'etc/systemd/system/orkestr-proxy.socket.d/zz-listen.conf';
const BESIDE = ['--http', '127.0.0.1:8080', '--https', '[::1]:8443'];

function hostWith(t: TestContext): ScriptedHost {
  const host = new ScriptedHost(t);
  host.file('var/lib/orkestr/agent/identity.json', '{}');
  return host;
}

test('the sockets get drop-ins beside a web server, only once, and are marked for a restart', async (t) => {
  const host = hostWith(t);
  const first = await host.run('place_edge; echo "reload: $units_changed"', ...BESIDE);
  assert.match(first.stdout, /^doing {4}have orkestr-proxy\.socket listen on 127\.0\.0\.1:8080$/m);
  assert.match(first.stdout, /^doing {4}have orkestr-proxy-tls\.socket listen on \[::1\]:8443$/m);
  assert.match(first.stdout, /^reload: 1$/m);
  assert.match(host.read(DROP_IN), /^\[Socket\]\nListenStream=\nListenStream=127\.0\.0\.1:8080\n$/m);
  // Until the unit is restarted, systemd must reload it, even if the previous run was interrupted.
  const again = 'place_edge; echo "reload: $units_changed"';
  assert.equal(
    (await host.run(`for unit in $EDGE_SOCKETS; do is_restarted "$unit"; done; ${again}`)).stdout,
    'reload: \n',
  );
  assert.equal((await host.run(again, ...BESIDE)).stdout, 'reload: \n', 'what holds already is left');
});

test('naming its own ports moves the proxy back to them; without options a drop-in of the owner is kept', async (t) => {
  const host = hostWith(t);
  host.file('etc/systemd/system/orkestr-proxy.socket.d/mine.conf', '[Socket]\nListenStream=\nListenStream=8081\n');
  assert.equal((await host.run('place_edge; edge_at orkestr-proxy.socket')).stdout, '8081\n');
  assert.ok(!existsSync(join(host.root, DROP_IN)));
  await host.run('place_edge', ...BESIDE);
  const { stdout } = await host.run('place_edge; edge_present orkestr-proxy.socket', '--http', '80');
  assert.match(stdout, /\n80\n$/);
});

test('the proxy trusts the web server on this host, unless the owner has set whom to trust', async (t) => {
  const settings = async (host: ScriptedHost, ...options: string[]): Promise<string> =>
    (await host.run('edge_settings', ...options)).stdout;
  const host = hostWith(t);
  assert.equal(await settings(host, ...BESIDE), 'ORKESTR_PROXY_TRUSTED=127.0.0.1\n');
  assert.equal(await settings(host, '--http', '[::1]:8080'), 'ORKESTR_PROXY_TRUSTED=::1\n');
  assert.equal(await settings(host, '--http', '8080'), '');
  assert.equal(await settings(host), '');
  host.file('etc/orkestr/proxy.env', 'ORKESTR_PROXY_TRUSTED=10.0.0.0/8\n');
  assert.equal(await settings(host, ...BESIDE), '');
});

test('the public address of a host behind a router is set for its proxy', async (t) => {
  const settings = async (...options: string[]): Promise<string> =>
    (await hostWith(t).run('edge_settings', ...options)).stdout;
  assert.equal(
    await settings('--public-address', '203.0.113.7,2001:db8::7'),
    'ORKESTR_PROXY_PUBLIC=203.0.113.7,2001:db8::7\n',
  );
  assert.equal(
    await settings('--public-address', '203.0.113.7', ...BESIDE),
    'ORKESTR_PROXY_PUBLIC=203.0.113.7\nORKESTR_PROXY_TRUSTED=127.0.0.1\n',
  );
  for (const value of ['hub.example.com', '203.0.113.7 ', '203.0.113.0/24', '203.0.113.7,', '203.0.113.7:80', 'abcd'])
    assert.match(
      (await hostWith(t).run('true', '--public-address', value)).stderr,
      /--public-address: ".*" is not valid/,
    );
});

test('an address that systemd would not accept is refused', async (t) => {
  for (const value of ['nginx:80', '127.0.0.1', '127.0.0.1:8080\nExecStart=x', ':80'])
    assert.match((await hostWith(t).run('true', '--http', value)).stderr, /--http: ".*" is not valid/s);
});

test('no certificates are requested where a web server of the owner terminates TLS', async (t) => {
  const email = ['--email', 'a@example.com'];
  const acme = async (...options: string[]): Promise<string> =>
    (await hostWith(t).run('acme_settings', ...email, ...options)).stdout;
  assert.match(await acme(), /^ORKESTR_PROXY_ACME=https:[^]*ORKESTR_PROXY_ACME_EMAIL=a@example\.com$/m);
  assert.match(await acme('--https', '192.0.2.2:443'), /ORKESTR_PROXY_ACME=/);
  assert.equal(await acme(...BESIDE), '');
});

test("a move back to the proxy's own ports without a CA gives a warning: apps would have no https", async (t) => {
  const warning = async (settings: string, ...options: string[]): Promise<string> => {
    const host = hostWith(t);
    host.file('etc/orkestr/proxy.env', settings);
    await host.run('place_edge', ...BESIDE);
    return (await host.run('check_certificates', ...options)).stderr;
  };
  const back = ['--http', '80', '--https', '443'];
  assert.match(await warning('', ...back), /^warning .*apps have no https\.\n.*--email ADDRESS/);
  assert.equal(await warning('', ...back, '--email', 'a@example.com'), '');
  assert.equal(await warning('ORKESTR_PROXY_ACME=https://ca.example.org/dir', ...back), '');
  assert.equal(await warning(''), '', 'it stays beside');
  assert.equal((await hostWith(t).run('check_certificates', ...back)).stderr, '', 'it was never beside');
});

test('systemd reloads and then restarts a moved socket, even if the previous run was interrupted in between', async (t) => {
  for (const options of [BESIDE, []]) {
    const host = hostWith(t);
    if (options.length === 0) host.file('run/orkestr/restart-orkestr-proxy.socket', '');
    for (const folder of ['opt/orkestr/current/units', 'etc/systemd/system'])
      host.file(`${folder}/orkestr-proxy.socket`, 'the same');
    host.program('systemctl', { '*': '' });
    await host.run('place_edge; install_units orkestr-proxy.socket; start_units orkestr-proxy.socket', ...options);
    const done = host.calls().filter((call) => /daemon-reload|restart/.test(call));
    assert.deepEqual(done, ['systemctl daemon-reload', 'systemctl restart orkestr-proxy.socket']);
    assert.ok(!existsSync(join(host.root, 'run/orkestr/restart-orkestr-proxy.socket')));
  }
});
