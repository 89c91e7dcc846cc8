/** Judgements on facts that a test machine does not have; test/integration/doctor/ injects faults into a real host. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scripted } from '../../deployment/test-ports.ts';
import type { Exec } from '../../lib/exec.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import type { Skipped, Verdict } from '../check.ts';
import type { EngineInfo, EngineVersion } from '../engine-facts.ts';
import type { NameServer } from '../name-server.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject, SubjectConfig } from '../subject.ts';
import { certificates } from './certificates.ts';
import { clock } from './clock.ts';
import { disk } from './disk.ts';
import { dns } from './dns.ts';
import { engine } from './engine.ts';
import { hub } from './hub.ts';
import { liveRestore } from './live-restore.ts';
import { memory } from './memory.ts';
import { runtime } from './runtime.ts';
import { storage } from './storage.ts';

const problems = (outcome: Verdict | Skipped): string[] =>
  'skipped' in outcome ? ['skipped'] : outcome.findings.map(({ problem }) => problem);

const versions = (engineVersion: string, runc: string, containerd: string): EngineVersion => ({
  Version: engineVersion,
  ApiVersion: '1.47',
  MinAPIVersion: '1.24',
  Components: [
    { Name: 'runc', Version: runc },
    { Name: 'containerd', Version: containerd },
  ],
});

test('the runtime check finds known container escapes by the fixed version of each release line', () => {
  const judged = (...given: [string, string, string]): string[] => problems(runtime.judge(versions(...given)));
  assert.deepEqual(judged('29.1.0', '1.3.3', 'v2.2.0'), []);
  assert.deepEqual(judged('28.2.2', '1.2.8', '1.7.27'), []);
  assert.deepEqual(judged('28.2.2', '1.3.2', '1.7.27'), ['runc-escape']);
  assert.deepEqual(judged('28.2.2', '1.2.7', '2.0.3'), ['runc-escape', 'containerd-escape']);
  assert.deepEqual(judged('24.0.9', '1.1.12', '1.6.38'), ['runc-escape']);
  assert.deepEqual(judged('25.0.1', '1.3.4', '1.7.28'), ['buildkit-escape']);
  assert.deepEqual(judged('23.0.6', '1.1.11+ds1-2', '1.6.20~ds1'), [
    'runc-escape',
    'containerd-escape',
    'buildkit-escape',
  ]);
  const outcome = runtime.judge(versions('25.0.2', '1.1.11', '2.0.4'));
  assert.equal(
    'skipped' in outcome ? '' : outcome.findings[0]?.values?.['cves'],
    'CVE-2024-21626, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881',
  );
});

test('the engine check reports an engine that is too old or too new', () => {
  const judged = (ApiVersion: string, MinAPIVersion: string): string[] =>
    problems(engine.judge({ socket: '/x', facts: { ...versions('1', '1.3.3', '2'), ApiVersion, MinAPIVersion } }));
  assert.deepEqual(judged('1.41', '1.12'), []);
  assert.deepEqual(judged('1.52', '1.44'), []);
  assert.deepEqual(judged('1.40', '1.12'), ['api-too-old']);
  assert.deepEqual(judged('1.60', '1.51'), ['api-too-new']);
});

const INFO: EngineInfo = {
  Driver: 'overlay2',
  DriverStatus: [],
  DockerRootDir: '/x',
  LiveRestoreEnabled: true,
  CgroupVersion: '2',
  MemoryLimit: true,
  SwapLimit: true,
  CpuCfsQuota: true,
  PidsLimit: true,
  FirewallBackend: { Driver: 'iptables' },
  Swarm: { LocalNodeState: 'inactive' },
};

test('the storage check reports a file system without file types in its directory entries', () => {
  const judged = storage.judge({ ...INFO, DriverStatus: [['Supports d_type', 'false']] });
  assert.deepEqual(problems(judged), ['no-file-types']);
});

test('a certificate that lives for a week is a finding only if its renewal is late', () => {
  const renewed = (renewAt: string) => {
    const certificate = {
      host: 'a.test',
      source: 'acme',
      issuer: 'x',
      notAfter: '2030-01-04T00:00:00Z',
      lastError: null,
    } as const;
    const list = { certificates: [{ ...certificate, renewAt }], missing: [] };
    return problems(certificates.judge({ now: Date.parse('2030-01-01T00:00:00Z'), list, isBeside: false }));
  };
  assert.deepEqual(renewed('2030-01-02T00:00:00Z'), []);
  assert.deepEqual(renewed('2029-12-31T00:00:00Z'), ['ends']);
});

test('the check does not suggest live-restore in a swarm: an engine with both does not start', () => {
  const judged = (LiveRestoreEnabled: boolean, LocalNodeState: string): string[] =>
    problems(liveRestore.judge({ ...INFO, LiveRestoreEnabled, Swarm: { LocalNodeState } }));
  assert.deepEqual(judged(true, 'inactive'), []);
  assert.deepEqual(judged(false, 'inactive'), ['off']);
  assert.deepEqual(judged(false, 'active'), ['off-in-swarm']);
  assert.deepEqual(judged(true, 'locked'), ['on-in-swarm']);
});

test('the check reports certificates that expire soon or have expired, and domains without a certificate', () => {
  const certificate = (notAfter: string) =>
    ({ host: 'a.test', source: 'acme', issuer: 'x', notAfter, renewAt: null, lastError: 'ORK_ACME_DNS' }) as const;
  const facts = {
    now: Date.parse('2030-01-01T00:00:00Z'),
    list: {
      certificates: ['2030-03-01T00:00:00Z', '2030-01-10T00:00:00Z', '2029-12-31T00:00:00Z'].map(certificate),
      missing: [{ host: 'b.test', reason: 'no A record', retryAt: null }],
    },
  };
  assert.deepEqual(problems(certificates.judge({ ...facts, isBeside: false })), ['ends', 'ended', 'missing']);
  assert.deepEqual(problems(certificates.judge({ ...facts, isBeside: true })), ['ends', 'ended']);
});

test('the hub check reports a hub certificate that expires soon and an agent without a connection', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');
  const answer = {
    reached: true,
    status: 200,
    body: '{"status":"ok"}',
    skewMs: 0,
    certificateUntil: now + 3 * 86_400_000,
  } as const;
  const link = { connected: false, lastError: 'ECONNRESET', lastCode: null };
  const facts = { url: 'https://hub.example.com', now, keyReadable: true, answer };
  assert.deepEqual(problems(hub.judge({ ...facts, link })), ['certificate-ends', 'no-link']);
  assert.deepEqual(problems(hub.judge({ ...facts, link: { ...link, connected: true } })), ['certificate-ends']);
  assert.deepEqual(problems(hub.judge(null)), ['skipped']);
});

test("a certificate outside its validity period is reported with this host's clock, which may be what is wrong", () => {
  const now = Date.parse('1970-01-01T00:05:00Z');
  const told = (code: string): unknown => {
    const answer = { reached: false, code, message: 'so' } as const;
    const verdict = hub.judge({ url: 'https://hub.example.com', now, keyReadable: true, answer, link: null });
    const [finding] = 'skipped' in verdict ? [] : verdict.findings;
    return [finding?.problem, finding?.values?.['how'], finding?.values?.['now']];
  };
  const clockSays = '1970-01-01T00:05:00.000Z';
  assert.deepEqual(told('CERT_NOT_YET_VALID'), ['certificate-time', 'is not valid yet', clockSays]);
  assert.deepEqual(told('CERT_HAS_EXPIRED'), ['certificate-time', 'has expired', clockSays]);
  assert.deepEqual(told('CERT_REVOKED'), ['certificate-refused', '', clockSays]);
});

test('the hub check distinguishes an untrusted authority, a wrong name and other reasons to refuse a certificate', () => {
  const told = (code: string): string[] => {
    const answer = { reached: false, code, message: 'so' } as const;
    return problems(hub.judge({ url: 'https://hub.example.com', now: 0, keyReadable: true, answer, link: null }));
  };
  // Error codes of Node.js (tls.html, X509 certificate error codes).
  for (const code of [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ]) {
    assert.deepEqual(told(code), ['certificate-authority'], code);
  }
  assert.deepEqual(told('ERR_TLS_CERT_ALTNAME_INVALID'), ['certificate-name']);
  assert.deepEqual(told('CERT_SIGNATURE_FAILURE'), ['certificate-refused']);
  assert.deepEqual(told('ECONNREFUSED'), ['unreachable']);
});

test('the hub check reports another machine with the identity of this host for an hour, even while connected', () => {
  const now = Date.parse('2030-01-01T12:00:00Z');
  const answer = { reached: true, status: 200, body: '{"status":"ok"}', skewMs: 0, certificateUntil: null } as const;
  const judged = (connected: boolean, twiceAt?: string): string[] => {
    const lastCode = connected ? null : 'ORK_HOST_TWICE';
    const link = { connected, lastError: null, lastCode, twiceAt };
    return problems(hub.judge({ url: 'https://hub.example.com', now, keyReadable: true, answer, link }));
  };
  for (const connected of [true, false]) assert.deepEqual(judged(connected, '2030-01-01T11:30:00Z'), ['twice']);
  assert.deepEqual(judged(true, '2030-01-01T10:30:00Z'), []);
  assert.deepEqual(judged(true), []);
});

test('a clock is skewed from a difference of 5 s on and far off from 120 s on, in either direction', () => {
  const judged = (skewMs: number | null): string[] => {
    const answer = { reached: true, status: 200, body: '', skewMs, certificateUntil: null } as const;
    return problems(clock.judge({ answer, isKept: null }));
  };
  assert.deepEqual([4400, -5000, 121_000, null].map(judged), [[], ['skewed'], ['far-off'], ['skipped']]);
});

test("the clock check reports a clock without synchronization, even on the hub's own host", async () => {
  const judged = async (stdout: string, exitCode: number): Promise<string[]> => {
    const exec: Exec = async () => ({ exitCode, stdout, stderr: '', timedOut: false });
    const subject = scripted<Subject>('subject', { exec, hub: async () => null });
    return problems(await clock.run(subject, new AbortController().signal));
  };
  assert.deepEqual(await judged('no\n', 0), ['unkept']);
  assert.deepEqual(await judged('yes\n', 0), []);
  assert.deepEqual(await judged('', 1), ['skipped'], 'no systemd');
});

const NAMED = { file: 'f', host: 'h', hubError: null, behind: [], routes: { ipv4: true, ipv6: true } };

test('the check warns an IPv6-only host that builds, which have no IPv6, resolve no names and reach nothing', async (t) => {
  const here = temporaryFolder(t);
  const DEFAULT = 'eth0 00000000 01020304 0003 0 0 0 00000000 0 0 0\n';
  const ANYWHERE = `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fe80 00000400 1 0 00000003     eth0\n`;
  const NOWHERE = ANYWHERE.replace('eth0', 'lo');
  const judged = async (resolv: string, resolved: string, route: string, ipv6: string): Promise<string[]> => {
    mkdirSync(join(here, 'net'), { recursive: true });
    const files = { resolv, resolved, 'net/route': route, 'net/ipv6_route': ipv6 };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(here, name), text);
    const places = {
      ...HOST_PLACES,
      proc: here,
      resolvConf: join(here, 'resolv'),
      resolvedConf: join(here, 'resolved'),
      engineSettings: join(here, 'daemon.json'),
    };
    const exec: Exec = () => Promise.reject(new Error('no hub is looked for'));
    const subject = scripted<Subject>('subject', { places, identity: () => null, exec });
    const found = problems(await dns.run(subject, new AbortController().signal));
    return found.filter((problem) => problem.startsWith('no-ipv4'));
  };
  const stub = 'nameserver 127.7.7.7\n';
  assert.deepEqual(await judged(stub, 'nameserver 2001:db8::1\n', DEFAULT, ANYWHERE), ['no-ipv4-server']);
  assert.deepEqual(await judged(stub, 'nameserver 2001:db8::1\nnameserver 192.0.2.1\n', DEFAULT, ANYWHERE), []);
  assert.deepEqual(await judged(stub, '', DEFAULT, ANYWHERE), []);
  assert.deepEqual(await judged('nameserver ::1\n', '', '', ANYWHERE), ['no-ipv4-route']);
  assert.deepEqual(await judged(stub, '', '', NOWHERE), []);
});

test('the doctor reports name servers that only the host can reach, unless builds have another one', () => {
  const judged = (address: string, ...behind: string[]): string[] =>
    problems(dns.judge({ ...NAMED, behind, servers: [{ address, state: 'answers', why: '' }] }));
  assert.deepEqual(judged('127.0.0.1'), ['loopback-only']);
  assert.deepEqual(judged('::1'), ['loopback-only']);
  assert.deepEqual(judged('127.0.0.53', '192.0.2.1'), []);
  assert.deepEqual(judged('192.0.2.1'), []);
});

test('one unusable name server of two is a warning; two are a failure', () => {
  const judged = (...states: NameServer['state'][]): string[] => {
    const servers = states.map((state): NameServer => ({ address: '192.0.2.1', state, why: '' }));
    return problems(dns.judge({ ...NAMED, servers }));
  };
  assert.deepEqual(judged('answers', 'silent'), ['some-silent']);
  assert.deepEqual(judged('answers', 'failing'), ['some-failing']);
  assert.deepEqual(judged('answers', 'late'), []);
  assert.deepEqual(judged('silent', 'silent'), ['silent']);
  assert.deepEqual(judged('silent', 'failing'), ['failing']);
  assert.deepEqual(judged('silent', 'late'), ['late']);
});

test('the fix for a failing systemd-resolved is not to edit the file that systemd-resolved writes', () => {
  const judged = (state: NameServer['state']): string[] =>
    problems(dns.judge({ ...NAMED, servers: [{ address: '127.0.0.53', state, why: '' }] }));
  assert.deepEqual([judged('silent'), judged('failing'), judged('late')], [['resolved'], ['resolved'], ['late']]);
});

test('the memory check reports low memory and processes that wait for memory', async (t) => {
  const proc = temporaryFolder(t);
  mkdirSync(join(proc, 'pressure'));
  writeFileSync(join(proc, 'meminfo'), 'MemTotal: 1000 kB\nMemAvailable: 20 kB\n');
  writeFileSync(
    join(proc, 'pressure', 'memory'),
    'some avg10=0.00 avg60=35.50 avg300=1.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n',
  );
  const subject = scripted<Subject>('subject', { places: { ...HOST_PLACES, proc } });
  assert.deepEqual(problems(await memory.run(subject, AbortSignal.timeout(5000))), ['low', 'pressed']);
});

test('the disk check follows links to the disks of the programs and of the hub', async (t) => {
  const [here, other] = [temporaryFolder(t), mkdtempSync('/dev/shm/ork-')];
  t.after(() => rmSync(other, { recursive: true }));
  const lookedAt = async (): Promise<string> => {
    const subject = scripted<Subject>('subject', {
      config: scripted<SubjectConfig>('config', { stateFolder: join(here, 'agent'), agentSocket: join(here, 'sock') }),
      places: { ...HOST_PLACES, root: here },
      engine: scripted<Subject['engine']>('engine', { info: () => Promise.reject(new Error('away')) }),
    });
    const outcome = await disk.run(subject, AbortSignal.timeout(5000));
    return 'skipped' in outcome ? '' : outcome.summary;
  };
  assert.doesNotMatch(await lookedAt(), /hub|programs/);
  symlinkSync(other, join(here, 'hub'));
  assert.match(await lookedAt(), /hub state/);
  rmSync(join(here, 'hub'));
  mkdirSync(join(here, 'opt/orkestr'), { recursive: true });
  symlinkSync(other, join(here, 'opt/orkestr/releases'));
  assert.match(await lookedAt(), /programs/);
});
