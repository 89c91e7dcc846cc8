import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ScriptedHost } from './test-host.ts';

const HEALTH = '-sS --noproxy * --max-time 15 --max-filesize 4096 -i https://hub.example.com/healthz';
const HUB_SAYS = 'HTTP/2 200 \r\ncontent-type: application/json\r\n\r\n{"status":"ok"}';
const TO_HUB = ['--hub', 'https://hub.example.com', '--token', '-'];

test('the PATH of a plain su gets the missing folders, after those of the owner', async (t) => {
  const { stdout } = await new ScriptedHost(t).runBare('PATH=/mine:/usr/bin:/bin; complete_path; echo "$PATH"');
  assert.equal(stdout, '/mine:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin\n');
});

test('the hub is checked after the packages are installed if curl was missing', async (t) => {
  const host = new ScriptedHost(t);
  const curl = `${host.root}/programs/curl`;
  const bring = `printf '%s\\n' '#!/bin/sh' 'echo "Could not resolve host"; exit 6' >"${curl}"; chmod 755 "${curl}"`;
  const { code, stderr } = await host.run(
    `! has curl || check_hub; echo between >&2; ${bring}; check_hub_late; echo not reached >&2`,
    ...TO_HUB,
  );
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^between\nproblem {2}The name of the hub .* does not resolve here[^]*nothing but packages was installed/,
  );
  assert.doesNotMatch(stderr, /not reached/);
});

test('the hub is checked once, before the packages, if curl is there', async (t) => {
  const host = new ScriptedHost(t);
  host.program('curl', { [HEALTH]: HUB_SAYS });
  assert.equal((await host.run('! has curl || check_hub; check_hub_late', ...TO_HUB)).code, 0);
  assert.equal(host.calls().filter((call) => call.startsWith('curl')).length, 1);
});

test('the check of an unreachable hub warns that orkestr connects without the proxy of the environment', async (t) => {
  for (const [env, told] of [
    ['', /Check the firewalls in between\.\n$/],
    ['https_proxy=http://proxy.example.com:3128; ', /in between\. orkestr connects directly, without the proxy of/],
    ['HTTPS_PROXY=http://proxy.example.com:3128; ', /in between\. orkestr connects directly, without the proxy of/],
  ] as const) {
    const host = new ScriptedHost(t);
    host.program('curl', { [HEALTH]: { code: 28 } });
    const { stderr } = await host.run(`${env}check_hub`, ...TO_HUB);
    assert.match(stderr, told);
  }
});

test('a site that answers any request is not accepted as a hub', async (t) => {
  const page = 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>Welcome, your status: ok</p>';
  for (const answer of [page, { code: 63, stdout: `${page}curl: (63) Exceeded the maximum allowed file size` }]) {
    const host = new ScriptedHost(t);
    host.program('curl', { [HEALTH]: answer });
    const { stderr } = await host.run('check_hub', ...TO_HUB);
    assert.match(stderr, /^problem {2}The server at https:\/\/hub\.example\.com is not a hub\.\n/);
  }
  const host = new ScriptedHost(t);
  host.program('curl', { [HEALTH]: HUB_SAYS.replace('200', '503') });
  assert.match((await host.run('check_hub', ...TO_HUB)).stderr, /is not a hub/);
});

test('the check compares the clocks if the answer of the hub has a date', async (t) => {
  const at = (ahead: number): string => `date: ${new Date(Date.now() + ahead).toUTCString()}\r\n`;
  for (const [date, told] of [
    [at(0), /^$/],
    [at(600_000), /^problem {2}The clock here and the hub's are \d{3} s apart/],
    ['', /^$/],
  ] as const) {
    const host = new ScriptedHost(t);
    host.program('curl', { [HEALTH]: HUB_SAYS.replace('content-type', `${date}content-type`) });
    assert.match((await host.run('check_hub', ...TO_HUB)).stderr, told);
  }
});

test("a refused certificate is reported with curl's reason and with this host's date", async (t) => {
  const host = new ScriptedHost(t);
  const stdout = 'curl: (60) SSL certificate problem: certificate is not yet valid\nMore details here: …\n';
  host.program('curl', { [HEALTH]: { code: 60, stdout } });
  const { stderr } = await host.run('check_hub', ...TO_HUB);
  assert.match(
    stderr,
    /^problem .* not trusted here: .*certificate is not yet valid\n .*clock, which says \d{4}-\d\d-\d\d\.\n$/,
  );
});

/** A host that passes every check; `-P` and `-k` are options that every df supports. */
function soundHost(t: TestContext): ScriptedHost {
  const host = new ScriptedHost(t);
  host.program('uname', { '-m': 'x86_64\n', '-n': 'vps\n', '-r': '5.4.0-42-generic\n' });
  host.program('getconf', { GNU_LIBC_VERSION: 'glibc 2.28\n' });
  host.program('timedatectl', { 'show --property NTPSynchronized --value': 'yes\n' });
  host.program('df', { '-Pk /var/lib': freeSpace(10240) });
  // With it, missing packages and engine are no problem.
  host.program('apt-get', {});
  host.program('systemctl', { '*': { code: 4 } });
  host.file('run/systemd/system/x', '');
  host.file('sys/fs/cgroup/cgroup.controllers', 'cpu memory\n');
  host.file('proc/meminfo', memoryOf(900));
  return host;
}

const freeSpace = (megabytes: number): string =>
  `Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 40000000 1 ${megabytes * 1024} 1% /\n`;
const memoryOf = (megabytes: number): string => `MemTotal:       ${megabytes * 1024} kB\nMemFree:  1 kB\n`;

const CHECK_HOST = 'resolver_text() { false; }; check_host; echo passed';

test('a host that has just what is required passes the checks, with either version of control groups', async (t) => {
  const host = soundHost(t);
  for (const version of ['v2', 'v1']) {
    assert.deepEqual(await host.run(CHECK_HOST, ...TO_HUB), { code: 0, stdout: 'passed\n', stderr: '' }, version);
    rmSync(`${host.root}/sys/fs/cgroup/cgroup.controllers`, { force: true });
    host.file('sys/fs/cgroup/memory/x', '');
  }
});

/** Each fault, the sentence about it, and its mend. */
const FAULTS: readonly (readonly [fault: (host: ScriptedHost) => void, sentence: string, mend: string])[] = [
  [(host) => host.program('id', { '-u': '1000\n' }), 'Not running as root.', 'Run it as root: … | sudo sh -s -- …'],
  [
    (host) => rmSync(`${host.root}/run/systemd`, { recursive: true }),
    'systemd is not running here.',
    'orkestr needs a host that was booted with systemd.',
  ],
  [
    (host) => host.program('uname', { '-m': 'riscv64\n', '-n': 'vps\n', '-r': '6.1.0\n' }),
    'This machine is a riscv64.',
    'There are releases for x86_64 and aarch64.',
  ],
  [
    (host) => host.program('getconf', { GNU_LIBC_VERSION: 'glibc 2.27\n' }),
    'The C library is 2.27; orkestr needs glibc 2.28.',
    'Use Debian 11, Ubuntu 22.04, RHEL 9 or newer.',
  ],
  [
    (host) => host.program('getconf', { GNU_LIBC_VERSION: { code: 1, stderr: 'unknown variable\n' } }),
    'The C library is not glibc; orkestr needs glibc 2.28.',
    'Use Debian 11, Ubuntu 22.04, RHEL 9 or newer.',
  ],
  [
    (host) => host.program('uname', { '-m': 'aarch64\n', '-n': 'vps\n', '-r': '4.19.0-27-cloud\n' }),
    'The kernel is 4.19.0-27-cloud; orkestr needs 5.4.',
    'Upgrade the distribution.',
  ],
  [
    (host) => rmSync(`${host.root}/sys/fs/cgroup`, { recursive: true }),
    'The kernel has no control groups for memory.',
    'Mount cgroup2 at /sys/fs/cgroup, as systemd does by default.',
  ],
  [
    (host) => host.program('df', { '-Pk /var/lib': freeSpace(2047) }),
    'Only 2047 MB are free below /var/lib; orkestr needs 2048.',
    'Free some space, or mount a larger disk there.',
  ],
  [
    (host) => host.file('proc/meminfo', memoryOf(399)),
    'The machine has 399 MB of memory; orkestr needs 400.',
    'Use a larger machine.',
  ],
];

test('a host that lacks something is refused, with what it lacks and what to do', async (t) => {
  for (const [fault, sentence, mend] of FAULTS) {
    const host = soundHost(t);
    fault(host);
    assert.deepEqual(await host.run(CHECK_HOST, ...TO_HUB), {
      code: 1,
      stdout: '',
      stderr: `problem  ${sentence}\n         ${mend}\nfailed   1 of this host's checks failed; nothing was changed.\n         Fix them, then run the same command again.\n`,
    });
  }
});

test('all that a host lacks is reported at once', async (t) => {
  const host = soundHost(t);
  for (const [fault] of FAULTS) fault(host);
  host.program('uname', { '-m': 'riscv64\n', '-n': 'vps\n', '-r': '4.19.0\n' });
  const { stderr } = await host.run(CHECK_HOST, ...TO_HUB);
  assert.equal(stderr.match(/^problem/gm)?.length, 8, stderr);
  assert.match(stderr, /^failed {3}8 of this host's checks failed/m);
});

test('a host on which orkestr works badly gets a warning, with what to do', async (t) => {
  const cases: readonly (readonly [fault: (host: ScriptedHost) => void, sentence: string, mend: string])[] = [
    [
      (host) => host.program('df', { '-Pk /var/lib': freeSpace(10239) }),
      'Only 10239 MB are free below /var/lib.',
      'Images need space: 10240 MB are a good start.',
    ],
    [
      (host) => host.file('proc/meminfo', memoryOf(899)),
      'The machine has only 899 MB of memory.',
      'Builds need more: 900 MB are a good start, and swap helps.',
    ],
    [
      (host) => host.program('timedatectl', { '*': 'no\n' }),
      'The clock is not synchronized.',
      'timedatectl set-ntp true (Debian: apt-get install systemd-timesyncd)',
    ],
  ];
  for (const [fault, sentence, mend] of cases) {
    const host = soundHost(t);
    fault(host);
    const stderr = `warning  ${sentence}\n         ${mend}\n`;
    assert.deepEqual(await host.run(CHECK_HOST, ...TO_HUB), { code: 0, stdout: 'passed\n', stderr });
  }
});

test('a clock of which timedatectl says nothing, as in a container, gets no warning', async (t) => {
  const host = soundHost(t);
  host.program('timedatectl', { '*': { code: 1, stderr: 'Failed to connect to bus\n' } });
  assert.equal((await host.run(CHECK_HOST, ...TO_HUB)).stderr, '');
});

test('an IPv6-only host gets a warning that builds, which have no IPv6, reach nothing and resolve no names', async (t) => {
  const DEFAULT = 'eth0 00000000 01020304 0003 0 0 0 00000000 0 0 0\n';
  const ANYWHERE = `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fe80 00000400 1 0 00000003     eth0\n`;
  const [SERVER, ROUTE] = [/name servers of this host have IPv6 addresses/, /a way out by IPv6 and none by IPv4/];
  const cases: [string, string, string, RegExp[]][] = [
    ['nameserver 127.0.0.53\nnameserver 2001:db8::1', DEFAULT, ANYWHERE, [SERVER]],
    ['nameserver 2001:db8::1\nnameserver 192.0.2.1', DEFAULT, ANYWHERE, []],
    ['nameserver 127.0.0.53', DEFAULT, ANYWHERE, []],
    ['nameserver ::1', '', ANYWHERE, [ROUTE]],
    ['', '', ANYWHERE.replace('eth0', 'lo'), []],
  ];
  for (const [servers, route, ipv6, told] of cases) {
    const host = new ScriptedHost(t);
    host.file('proc/net/route', `Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n${route}`);
    if (ipv6 !== '') host.file('proc/net/ipv6_route', ipv6);
    const { code, stderr } = await host.run(`resolver_text() { echo '${servers}'; }; check_ipv4`, ...TO_HUB);
    assert.equal(code, 0);
    assert.equal(stderr.match(/^warning/gm)?.length ?? 0, told.length, stderr);
    for (const words of told) assert.match(stderr, words);
  }
  assert.deepEqual(await new ScriptedHost(t).run('resolver_text() { false; }; check_ipv4', ...TO_HUB), {
    code: 0,
    stdout: '',
    stderr: '',
  });
});
