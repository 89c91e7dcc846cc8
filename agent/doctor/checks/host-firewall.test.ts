import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import type { Exec } from '../../lib/exec.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject } from '../subject.ts';
import { hostFirewall } from './host-firewall.ts';

/** Rules of ufw 0.36 on Debian 12, `ufw default deny`; lines that do not concern incoming packets are left out. */
const UFW = `-P INPUT DROP
-P FORWARD DROP
-P OUTPUT ACCEPT
-N ufw-before-input
-N ufw-user-input
-N ufw-user-limit-accept
-A INPUT -j ufw-before-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -s 10.0.0.0/8 -j ACCEPT
-A ufw-user-limit-accept -j ACCEPT
`;

/** Output of firewalld 1.3 on RHEL 9. */
const FIREWALLD = `public (active)
  target: default
  icmp-block-inversion: no
  interfaces: eth0
  sources:
  services: cockpit dhcpv6-client ssh
  ports: 8080/tcp 80/udp
  protocols:
  forward: yes
  masquerade: no
  forward-ports:
  source-ports:
  icmp-blocks:
  rich rules:
`;

function found(facts: { rules?: string; zone?: string; noZone?: boolean }): unknown[] {
  const outcome = hostFirewall.judge({ ports: [80, 443], rules: null, zone: null, noZone: false, ...facts });
  return 'skipped' in outcome ? [] : outcome.findings.map(({ problem, values }) => [problem, values?.['ports']]);
}

const allowed = (...rules: string[]): unknown[] =>
  found({ rules: UFW + rules.map((rule) => `-A ufw-user-input ${rule}\n`).join('') });

test('the check reports which ports for visitors ufw blocks', () => {
  assert.deepEqual(allowed(), [['ufw', '80,443']]);
  assert.deepEqual(allowed('-p tcp -m tcp --dport 80 -j ACCEPT'), [['ufw', '443']]);
  assert.deepEqual(allowed('-p udp -m multiport --dports 80,443 -j ACCEPT'), [['ufw', '80,443']]);
  assert.deepEqual(allowed('-p tcp -m multiport --dports 80,443 -j DROP'), [['ufw', '80,443']]);
});

test('the check finds no problem if ufw is off or lets visitors in by any kind of rule', () => {
  for (const rule of [
    '-p tcp -m multiport --dports 80,443 -j ACCEPT',
    `-p tcp -m multiport --dports 80,443 -m comment --comment "\\'dapp_Nginx%20Full\\'" -j ACCEPT`,
    '-p tcp -m multiport --dports 22,80:443 -j ACCEPT',
    '-i eth0 -j ACCEPT',
    '-s 192.0.2.0/24 -p tcp -m multiport --dports 80,443 -j ACCEPT',
    '-p tcp -m multiport --dports 80,443 -j ufw-user-limit-accept',
  ]) {
    assert.deepEqual(allowed(rule), [], rule);
  }
  assert.deepEqual(found({ rules: UFW.replace('INPUT DROP', 'INPUT ACCEPT') }), []);
  assert.deepEqual(found({ rules: '-P INPUT DROP\n' }), [], 'rules that nobody of whom we know has made');
});

test('the check reports a firewalld zone with neither services nor ports for visitors', () => {
  assert.deepEqual(found({ zone: FIREWALLD }), [['firewalld', '80,443']]);
  assert.deepEqual(found({ zone: FIREWALLD.replace('ssh', 'http ssh') }), [['firewalld', '443']]);
  const forward = '  forward-ports: port=8080:proto=tcp:toport=443:toaddr=';
  assert.deepEqual(found({ zone: FIREWALLD.replace('  forward-ports:', forward) }), [['firewalld', '80,443']]);
  for (const zone of [
    FIREWALLD.replace('ssh', 'http https ssh'),
    FIREWALLD.replace('8080/tcp', '80/tcp 443/tcp'),
    FIREWALLD.replace('8080/tcp', '80-500/tcp'),
    FIREWALLD.replace('target: default', 'target: ACCEPT'),
    `${FIREWALLD}\trule family="ipv4" port port="80" protocol="tcp" accept\n\trule service name="https" accept\n`,
  ]) {
    assert.deepEqual(found({ zone }), [], zone);
  }
});

/** A host whose firewalld has this output, and whose default route leads to eth0; a later one to eth9. */
async function asked(t: TestContext, said: Readonly<Record<string, string>>): Promise<unknown[]> {
  const proc = temporaryFolder(t);
  mkdirSync(join(proc, 'net'));
  writeFileSync(join(proc, 'net/route'), ROUTES);
  const exec: Exec = async (_program, [what = '']) => {
    const stdout = said[what];
    return {
      exitCode: stdout === undefined ? null : 0,
      stdout: stdout ?? '',
      stderr: '',
      timedOut: stdout === undefined,
    };
  };
  const has = (name: string): boolean => name === 'firewall-cmd';
  const subject = scripted<Subject>('subject', { places: { ...HOST_PLACES, proc }, exec, has });
  const outcome = await hostFirewall.run(subject, new AbortController().signal);
  return 'skipped' in outcome ? [] : outcome.findings.map(({ problem, values }) => [problem, values?.['zone']]);
}

const ROUTES = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth9\t00000000\t0100000A\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;

const OPEN = FIREWALLD.replace('ssh', 'http https ssh');
const EMPTY = FIREWALLD.replace('eth0', '');
const of = (name: string, zone: string): string => zone.replace('public (active)', name);
const TRUSTED = of('trusted (active)', EMPTY)
  .replace('interfaces:', 'interfaces: ob+')
  .replace('target: default', 'target: ACCEPT');

test('the check reports build links outside every firewalld zone, and nothing if firewalld does not answer in time', async (t) => {
  const zones = `${TRUSTED}\n${OPEN}`;
  assert.deepEqual(await asked(t, { '--list-all': OPEN, '--list-all-zones': OPEN }), [['firewalld-builds', undefined]]);
  assert.deepEqual(await asked(t, { '--list-all': OPEN, '--list-all-zones': zones }), []);
  assert.deepEqual(await asked(t, { '--list-all': FIREWALLD }), []);
});

test('the check uses the firewalld zone of the default route; a link in no zone belongs to the default zone', async (t) => {
  const rule = '\trule family="ipv4" source address="192.0.2.1" reject\n';
  const closed = of('external (active)', FIREWALLD) + rule;
  const zones = [TRUSTED, of('block', EMPTY), closed, of('work', EMPTY)].join('\n');
  const standard = OPEN.replace('eth0', 'eth1');
  assert.deepEqual(await asked(t, { '--list-all': standard, '--list-all-zones': zones }), [['firewalld', 'external']]);
  const open = `${TRUSTED}\n${of('external', OPEN)}`;
  assert.deepEqual(await asked(t, { '--list-all': EMPTY, '--list-all-zones': open }), []);
  assert.deepEqual(await asked(t, { '--list-all': EMPTY, '--list-all-zones': `${TRUSTED}\n${EMPTY}` }), [
    ['firewalld', 'public'],
  ]);
});
