import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ScriptedHost } from './test-host.ts';

function hostWith(t: TestContext): ScriptedHost {
  const host = new ScriptedHost(t);
  host.file('var/lib/orkestr/agent/identity.json', '{}');
  return host;
}

test('the holder of a port is reported with a fitting fix: only a unit that exists is to be disabled', async (t) => {
  const cases = [
    ['nginx', 812, '0::/system.slice/nginx.service', /Stop it: systemctl disable --now nginx\.service/],
    ['nginx', 812, '1:name=systemd:/system.slice/web.service\n0::/x', /disable --now web\.service/],
    ['docker-proxy', 900, '0::/system.slice/docker.service', /find it with docker ps --filter publish=80/],
    ['node', 77, '0::/user.slice/user-0.slice/session-4.scope', /Stop it\. To see what it is: ps -f -p 77/],
    ['systemd', 1, '0::/init.scope', /find it with systemctl list-sockets/],
  ] as const;
  for (const [program, pid, group, mend] of cases) {
    const host = hostWith(t);
    const held = `LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("${program}",pid=${pid},fd=6))\n`;
    host.program('ss', { '-Hltnp sport = :80': held, '-Hltnp sport = :443': '' });
    host.program('systemctl', { '*': { code: 3 } });
    host.file(`proc/${pid}/cgroup`, `${group}\n`);
    const { stderr } = await host.run('check_ports');
    assert.match(stderr, new RegExp(`^problem  Port 80 is held by ${program} \\(process ${pid}\\)\\.`));
    assert.match(stderr, mend);
    assert.equal(stderr.match(/^problem/gm)?.length, 1);
  }
});

test('the ports are checked right after the packages bring a missing ss, before anything else', async (t) => {
  const held = 'LISTEN 0 511 *:80 *:* users:(("nginx",pid=812,fd=6))\n';
  const later = 'check_hub_late install_engine install_release install_host join_hub check_rules finish';
  const stubs = `complete_path() { :; }; for step in ${later}; do eval "$step() { echo $step; }"; done`;
  const early = 'check_host() { ! has ss || check_ports; }';
  for (const [isBrought, said] of [
    [true, 'check_hub_late\n'],
    [false, later.replaceAll(' ', '\n').concat('\n')],
  ] as const) {
    const host = hostWith(t);
    host.program('ss', { '-Hltnp sport = :80': isBrought ? held : '', '-Hltnp sport = :443': '' });
    host.program('systemctl', { '*': { code: 3 } });
    const ss = join(host.root, 'programs/ss');
    if (isBrought) renameSync(ss, `${ss}.package`);
    const packages = `install_packages() { ${isBrought ? `mv '${ss}.package' '${ss}'` : ':'}; }`;
    const { code, stdout, stderr } = await host.run(`${stubs}; ${early}; ${packages}; main "$@"`);
    assert.deepEqual([code, stdout], [isBrought ? 1 : 0, said]);
    assert.equal(host.calls().filter((call) => call.startsWith('ss ')).length, 2, 'once for each port');
    if (isBrought) assert.match(stderr, /^problem {2}Port 80 is held by nginx[^]*nothing but packages was installed/);
  }
});

test('a web server on the ports may stay with the options that the fix names; another program may not', async (t) => {
  for (const [program, offers] of [
    ['nginx', true],
    ['squid', false],
  ] as const) {
    const host = hostWith(t);
    const held = `LISTEN 0 511 *:80 *:* users:(("${program}",pid=812,fd=6))\n`;
    host.program('ss', { '-Hltnp sport = :80': held, '*': '' });
    host.program('systemctl', { '*': { code: 3 } });
    host.file('proc/812/cgroup', '0::/system.slice/web.service\n');
    const { stderr } = await host.run('check_ports');
    assert.equal(/Or keep it.*--http 127\.0\.0\.1:8080 --https 127\.0\.0\.1:8443$/m.test(stderr), offers, program);
  }
});

test('the checked ports are those that the proxy will have, by the options of this run or by drop-ins', async (t) => {
  const nginx = (address: string): string => `LISTEN 0 511 ${address} 0.0.0.0:* users:(("nginx",pid=812,fd=6))\n`;
  const listening = {
    '-Hltnp sport = :80': nginx('192.0.2.1:80'),
    '-Hltnp sport = :443': nginx('0.0.0.0:443'),
    '-Hltnp sport = :8443': nginx('127.0.0.1:8443'),
    '*': '',
  };
  const cases: [options: string[], dropIn: string, held: string[]][] = [
    [[], '', ['80', '443']],
    [['--http', '127.0.0.1:8080', '--https', '127.0.0.1:9443'], '', []],
    [['--http', '192.0.2.2:80', '--https', '127.0.0.1:8443'], '', ['8443']],
    [['--https', '192.0.2.2:443'], 'ListenStream=\nListenStream=192.0.2.2:80', ['443']],
    [['--https', '9443'], ' ListenStream = 8080', ['80']],
    [['--https', '9443'], 'ListenStream=\nListenStream=8080', []],
  ];
  for (const [options, dropIn, held] of cases) {
    const host = hostWith(t);
    host.program('ss', listening);
    host.program('systemctl', { '*': { code: 3 } });
    host.file('etc/systemd/system/orkestr-proxy.socket.d/mine.conf', `[Socket]\n${dropIn}\n`);
    const { stderr } = await host.run('check_ports', ...options);
    const told = [...stderr.matchAll(/^problem {2}Port (\d+)/gm)].map(([, port]) => port);
    assert.deepEqual(told, held, `${options.join(' ')} ${dropIn}`);
  }
});

test('the port of an active socket is not checked, unless this run moves the socket', async (t) => {
  const held = 'LISTEN 0 511 *:8080 *:* users:(("java",pid=812,fd=6))\n';
  for (const [options, count] of [
    [[], 0],
    [['--http', '8080'], 1],
  ] as const) {
    const host = hostWith(t);
    host.program('ss', { '-Hltnp sport = :8080': held });
    host.program('systemctl', { '*': '' });
    const { stderr } = await host.run('check_ports', ...options);
    assert.equal([...stderr.matchAll(/^problem/gm)].length, count);
  }
});

const ufw = (...rules: string[]): string =>
  ['Status: active', 'Default: deny (incoming), allow (outgoing)', '', 'To      Action      From', ...rules, ''].join(
    '\n',
  );
const ANYWHERE = 'ALLOW IN    Anywhere';
const UFW_CASES: readonly [what: string, said: string, closed: string][] = [
  ['it is off', 'Status: inactive\n', ''],
  ['it lets in whatever no rule is about', 'Status: active\nDefault: allow (incoming), allow (outgoing)\n', ''],
  ['nothing is open', ufw('22/tcp   ALLOW IN    Anywhere'), '80,443'],
  ['one is', ufw(`80/tcp    ${ANYWHERE}`), '443'],
  ['both are, by a list', ufw(`80,443/tcp (Nginx Full)   ${ANYWHERE}`), ''],
  ['both are, by a range', ufw(`1:1000/tcp   ${ANYWHERE}`), ''],
  ['everything is', ufw(`Anywhere    ${ANYWHERE}`), ''],
  ['only for some', ufw('80,443/tcp    ALLOW IN    10.0.0.0/8'), '80,443'],
  [
    'only for UDP, IPv6 and outwards',
    ufw(`80/udp ${ANYWHERE}`, `80/tcp (v6)  ${ANYWHERE} (v6)`, '443/tcp  ALLOW OUT   Anywhere'),
    '80,443',
  ],
  ['the first rule counts', ufw('80/tcp   DENY IN     Anywhere', `80,443/tcp   ${ANYWHERE}`), '80'],
];

test('a port that ufw blocks gives a warning with the command that opens it', async (t) => {
  for (const [what, said, closed] of UFW_CASES) {
    const host = hostWith(t);
    host.program('ufw', { 'status verbose': said });
    const { code, stderr } = await host.run('check_firewalls; [ "$problems" = 0 ]');
    assert.equal(code, 0, `${what}: no problem`);
    const mend = /^ +(ufw allow .*)$/m.exec(stderr)?.[1];
    assert.equal(mend, closed === '' ? undefined : `ufw allow ${closed}/tcp`, what);
  }
});

test('ports and builds that firewalld blocks give a warning with the command that lets them through', async (t) => {
  const host = hostWith(t);
  host.program('firewall-cmd', {
    '--state': 'running\n',
    '--quiet --query-service=http': '',
    '--quiet --query-service=https': { code: 1 },
    '--quiet --query-port=443/tcp': { code: 1 },
    '--quiet --query-port=7700/tcp': { code: 1 },
    '--get-zone-of-interface=ob+': { code: 2, stderr: 'no zone\n' },
  });
  const { stderr } = await host.run('check_firewalls', '--hub-here', '--listen', '0.0.0.0:7700');
  assert.match(stderr, /^warning {2}The firewall firewalld blocks incoming connections to port 443,7700\.$/m);
  assert.match(
    stderr,
    /^ +firewall-cmd --permanent --add-service=https --add-port=7700\/tcp && firewall-cmd --reload$/m,
  );
  assert.match(
    stderr,
    /^warning {2}The firewall firewalld rejects traffic from builds: .*\n +firewall-cmd --zone=trusted --add-interface=ob\+ && /m,
  );
  const byPort = hostWith(t);
  byPort.program('firewall-cmd', {
    '--state': 'running\n',
    '--quiet --query-service=http': '',
    '--quiet --query-service=https': { code: 1 },
    '--quiet --query-port=443/tcp': '',
    '--get-zone-of-interface=ob+': 'trusted\n',
  });
  assert.equal((await byPort.run('check_firewalls')).stderr, '');
  const off = hostWith(t);
  off.program('firewall-cmd', { '--state': { code: 252, stderr: 'not running\n' } });
  assert.equal((await off.run('check_firewalls')).stderr, '');
});

test('firewalld is queried for the zone of the outgoing link, and without a zone for the default zone', async (t) => {
  const route = 'default via 192.0.2.1 dev ens3 proto dhcp metric 100\n';
  for (const [routes, zone, inZone] of [
    [{ 'route show default': route, '-6 route show default': '' }, 'external\n', ' --zone=external'],
    [
      { 'route show default': '', '-6 route show default': route.replace('192.0.2.1', 'fe80::1') },
      'public\n',
      ' --zone=public',
    ],
    [{ 'route show default': route, '-6 route show default': '' }, { code: 2, stdout: 'no zone\n' }, ''],
    [{ 'route show default': '', '-6 route show default': '' }, '', ''],
  ] as const) {
    const host = hostWith(t);
    host.program('ip', routes);
    host.program('firewall-cmd', {
      '--state': 'running\n',
      '--get-zone-of-interface=ens3': zone,
      [`--quiet${inZone} --query-service=http`]: '',
      [`--quiet${inZone} --query-service=https`]: { code: 1 },
      [`--quiet${inZone} --query-port=443/tcp`]: { code: 1 },
      '--get-zone-of-interface=ob+': 'trusted\n',
    });
    const { stderr } = await host.run('check_firewalls');
    const mend = /^ +(firewall-cmd .*)$/m.exec(stderr)?.[1];
    assert.equal(mend, `firewall-cmd --permanent${inZone} --add-service=https && firewall-cmd --reload`);
  }
});

test("the hub's own port is checked only if others reach the hub through it", async (t) => {
  const cases: [string[], string][] = [
    [[], '80\n443\n'],
    [['--hub-here'], '80\n443\n'],
    [['--hub-here', '--listen', '[::1]:7700'], '80\n443\n'],
    [['--hub-here', '--listen', '10.0.0.5:7701'], '80\n443\n7701\n'],
    [['--hub-here', '--listen', '[::]:7700'], '80\n443\n7700\n'],
    [['--hub-here', '--listen', '0.0.0.0:7700', '--domain', 'a.example.com', '--email', 'a@example.com'], '80\n443\n'],
    [['--http', '127.0.0.1:8080', '--https', '8443'], '80\n8443\n'],
  ];
  for (const [options, ports] of cases) assert.equal((await hostWith(t).run('open_ports', ...options)).stdout, ports);
});
