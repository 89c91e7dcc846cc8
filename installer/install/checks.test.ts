import assert from 'node:assert/strict';
import { test } from 'node:test';
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

test('the check of free space uses only options that every df supports', async (t) => {
  for (const [blocks, problems] of [
    ['2000000', 1],
    ['20000000', 0],
  ] as const) {
    const host = new ScriptedHost(t);
    const table = `Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 40000000 1 ${blocks} 1% /\n`;
    host.program('df', { '-Pk /var/lib': table });
    const { stderr } = await host.run('check_room', ...TO_HUB);
    assert.equal([...stderr.matchAll(/^problem {2}Only 1953 MB are free/gm)].length, problems);
  }
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
