import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import type { Exec } from '../../lib/exec.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import type { Skipped, Verdict } from '../check.ts';
import { kindOf } from '../doctor.ts';
import { mendForAll } from '../../../test/house/troubleshooting.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject, SubjectConfig } from '../subject.ts';
import { ports } from './ports.ts';

const problems = (outcome: Verdict | Skipped): string[] =>
  'skipped' in outcome ? ['skipped'] : outcome.findings.map(({ problem }) => problem);

test('the check accepts systemd and workers of the proxy on its ports and reports other programs', () => {
  const holder = { pid: 1, parent: 0, name: 'systemd', command: '/sbin/init', inodes: ['7'], tcpPorts: [80, 443] };
  const judged = (by: typeof holder, proxy: { pid: number; ports: number[] } | null, isBeside = false): string[] =>
    problems(ports.judge({ ports: [{ port: 80, holders: [by] }], proxy, kept: null, isBeside, isBehind: isBeside }));
  assert.deepEqual(judged(holder, null), []);
  const worker = { ...holder, pid: 12, parent: 11, name: 'node', command: 'node worker' };
  assert.deepEqual(judged(worker, { pid: 11, ports: [80] }), []);
  const stranger = { ...holder, pid: 13, parent: 1, name: 'nginx', command: 'nginx: master process' };
  assert.deepEqual(judged(stranger, null), ['held']);
  assert.deepEqual(judged(stranger, { pid: 11, ports: [8080] }), ['held-beside']);
  assert.deepEqual(judged(stranger, { pid: 11, ports: [8080] }, true), [], 'its owner has said so');
  assert.deepEqual(judged(stranger, null, true), ['held'], 'and it does not run');
  const nobody = [80, 443].map((port) => ({ port, holders: [] }));
  const proxy = { pid: 11, ports: [8080] };
  const alone = (isBehind: boolean) =>
    problems(ports.judge({ ports: nobody, proxy, kept: null, isBeside: true, isBehind }));
  assert.deepEqual([alone(true), alone(false)], [['nobody-before'], []], 'the web server does not run');
});

test('a port of a container is reported with a command to find the container instead of the unit of Docker', () => {
  const engine = { pid: 4242, parent: 900, name: 'docker-proxy', command: '', inodes: ['7'], tcpPorts: [80] };
  const judged = (name: string, proxy: { pid: number; ports: number[] } | null): string[] => {
    const looked = [{ port: 80, holders: [{ ...engine, name }] }];
    return problems(ports.judge({ ports: looked, proxy, kept: null, isBeside: false, isBehind: false }));
  };
  assert.deepEqual(judged('docker-proxy', null), ['held-by-container']);
  assert.deepEqual(judged('dockerd', null), ['held-by-container']);
  assert.deepEqual(judged('docker-proxy', { pid: 11, ports: [8080] }), ['held-by-container-beside']);
  for (const name of ['held-by-container', 'held-by-container-beside']) {
    const mend = mendForAll(kindOf(ports, name).mend);
    assert.match(mend, /`docker ps --filter publish=\{port\}`/);
    assert.doesNotMatch(mend, /systemctl disable/);
  }
});

/** Output of systemd 252: it holds port 80 for the proxy, and could not bind port 443. */
const SHOWN = `Listen=[::]:80 (Stream)
ActiveState=active

Listen=[::]:443 (Stream)
ActiveState=failed
`;

/** A host on which only systemd listens on 80 and 443, with this output of systemctl. */
function keptBySystemd(t: TestContext, exec: Exec): Subject {
  const proc = temporaryFolder(t);
  const line = (port: number, inode: number): string =>
    `0: 00000000:${port.toString(16).padStart(4, '0')} 00000000:0000 0A 0:0 00:0 0 0 0 ${inode} 1\n`;
  for (const folder of ['net', '1/fd']) mkdirSync(join(proc, folder), { recursive: true });
  writeFileSync(join(proc, 'net/tcp'), `  sl  local_address\n${line(80, 7)}${line(443, 8)}`);
  writeFileSync(join(proc, '1/cmdline'), '/sbin/init\0');
  for (const inode of [7, 8]) symlinkSync(`socket:[${inode}]`, join(proc, `1/fd/${inode}`));
  return scripted<Subject>('subject', {
    places: { ...HOST_PLACES, proc, root: proc },
    config: scripted<SubjectConfig>('config', { proxySocket: '/run/orkestr/proxy.sock' }),
    exec,
  });
}

test('the check reports a port that systemd holds for a foreign socket unit, but not the ports of the proxy', async (t) => {
  const look = async (exitCode: number, stdout: string): Promise<unknown> => {
    const exec: Exec = async () => ({ exitCode, stdout, stderr: '', timedOut: false });
    const outcome = await ports.run(keptBySystemd(t, exec), AbortSignal.timeout(5000));
    return 'skipped' in outcome ? [] : outcome.findings.map(({ problem, values }) => [problem, values?.['port']]);
  };
  assert.deepEqual(await look(0, SHOWN), [['held-by-socket', 443]]);
  assert.deepEqual(await look(0, SHOWN.replace('failed', 'active')), []);
  assert.deepEqual(await look(1, ''), [], 'it does not say');
});
