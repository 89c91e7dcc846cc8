import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { HostStatus } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { CertificateList, CertificateView } from '../../protocol/proxy-admin.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { IDS } from '../deployment/test-job.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';
import type { AgentView } from '../local-api/agent-view.ts';
import { ANSWER_MS } from '../local-api/status-report.ts';
import type { Check, StatusSubject } from './check.ts';
import { hostStatus } from './host-status.ts';
import { checkAll, exitCode, renderStatus } from './index.ts';

const AT = new Date(0).toISOString();

const agent: AgentView = {
  version: '1.2.3',
  hostId: IDS.host,
  pid: 42,
  since: AT,
  hub: {
    hubUrl: 'https://hub.example.com',
    connected: true,
    since: AT,
    lastError: null,
    lastCode: null,
    lastContact: AT,
  },
  deployments: [{ deploymentId: IDS.project, environmentId: IDS.environment, state: 'running', step: 'build' }],
  recent: [
    {
      deploymentId: IDS.project,
      environment: 'shop/production',
      kind: 'deploy',
      state: 'failed',
      startedAt: AT,
      errorCode: 'ORK_UNHEALTHY',
    },
  ],
  outbox: 3,
};

const table = tableView(
  upstreamView({
    id: IDS.environment,
    routes: [{ host: 'shop.example.com', pathPrefix: '/' }],
    targets: [targetView({ id: IDS.host, port: 80, inFlight: 7, requests: { served: 1, failed: 0 } })],
  }),
);

const proxy: StatusSubject['proxy'] = {
  table: async () => table,
  certificates: async () => ({
    certificates: [certificate('shop.example.com', '1970-03-01T00:00:00.000Z')],
    missing: [],
  }),
  health: async () => ({ ok: true, version: '1.2.2' }),
};

const certificate = (host: string, notAfter: string): CertificateView => ({
  host,
  source: 'acme',
  issuer: 'a CA',
  notAfter,
  renewAt: null,
  lastError: null,
});

/** A Docker Engine that serves /info and /version, or never responds. */
async function engineThat(t: TestContext, info: object | null): Promise<string> {
  const socketPath = join(temporaryFolder(t), 'docker.sock');
  const server = createServer((_request, response) => {
    if (info !== null) response.end(JSON.stringify(info));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return socketPath;
}

async function subject(t: TestContext, changes: Partial<StatusSubject> = {}): Promise<StatusSubject> {
  const dockerSocket = await engineThat(t, {
    ServerVersion: '20.10.24',
    LiveRestoreEnabled: true,
    Version: '20.10.24',
    Components: [{ Name: 'runc', Version: '1.1.5' }],
  });
  const stateFolder = temporaryFolder(t);
  const clock = { now: () => Date.parse(AT) + 90_000 };
  // Long enough for a busy machine.
  const found = { dockerSocket, stateFolder, sandboxFolder: join(stateFolder, 'run'), proxy, clock, agent };
  return { ...found, answerMs: 60_000, ...changes };
}

test('a healthy host is reported with its routes, counts and running steps, and exit code 0', async (t) => {
  const report = await checkAll(await subject(t));
  assert.equal(exitCode(report.level), 0, renderStatus(report));
  const text = renderStatus(report);
  assert.match(text, /connected to https:\/\/hub\.example\.com/);
  assert.match(text, /Docker Engine 20\.10\.24, live-restore on/);
  assert.match(text, /shop\.example\.com -> 172\.30\.0\.2:80 healthy, 7 in flight/);
  assert.match(text, new RegExp(`${IDS.project}: build \\(running\\)`));
  assert.match(text, /3 reports are waiting/);
  assert.match(text, /process 42, up 1 min 30 s/);
  assert.match(text, /last heard 1 min 30 s ago/);
  assert.match(text, /shop\/production {2}deploy: failed \(ORK_UNHEALTHY\)/);
  assert.match(text, /shop\.example\.com \(acme\): ends 1970-03-01T00:00:00\.000Z, in 58 d 23 h/);
  assert.match(text, /proxy 1\.2\.2, Docker 20\.10\.24, runc 1\.1\.5/);
  assert.match(text, /0 build engines are running, cache 0\.0 GiB/);
});

test('a lost hub connection is degraded, with the reason and exit code 1', async (t) => {
  const away = { connected: false, since: AT, lastError: 'ECONNREFUSED', lastCode: null, lastContact: null };
  const hub = { hubUrl: 'https://hub.example.com', ...away };
  const report = await checkAll(await subject(t, { agent: { ...agent, hub } }));
  assert.equal(exitCode(report.level), 1);
  assert.match(report.checks['hub']?.summary ?? '', /not connected .* ECONNREFUSED/);

  const twice = await checkAll(
    await subject(t, { agent: { ...agent, hub: { ...hub, connected: true, twiceAt: AT } } }),
  );
  assert.equal(twice.level, 'degraded');
  assert.match(renderStatus(twice), /another machine has the identity of this host: run `orkestr-agent doctor hub`/);
});

test('disabled live-restore is degraded, and the report says what to do', async (t) => {
  const dockerSocket = await engineThat(t, { ServerVersion: '20.10.24', LiveRestoreEnabled: false });
  const report = await checkAll(await subject(t, { dockerSocket }));
  assert.equal(report.level, 'degraded');
  assert.match(renderStatus(report), /live-restore off[^]*orkestr-agent doctor/);
});

test('a missing or silent engine is down, and the other checks still answer', async (t) => {
  const missing = await checkAll(await subject(t, { dockerSocket: '/nonexistent.sock' }));
  assert.equal(exitCode(missing.level), 2);
  assert.equal(missing.checks['memory']?.level, 'ok');
  const dockerSocket = await engineThat(t, null);
  const silent = await checkAll(await subject(t, { dockerSocket, answerMs: ANSWER_MS }));
  assert.match(silent.checks['engine']?.summary ?? '', /did not answer within 0\.9 s/);
});

test('engine, proxy and disk are checked directly if no agent runs', async (t) => {
  const report = await checkAll(await subject(t, { agent: null }));
  assert.equal(report.level, 'down');
  assert.match(report.checks['agent']?.summary ?? '', /not running/);
  assert.deepEqual(
    ['engine', 'proxy', 'disk'].map((name) => report.checks[name]?.level),
    ['ok', 'ok', 'ok'],
  );
});

test('a live app that is down is degraded, with the reason and how to read its log', async (t) => {
  const app = { environment: 'shop/production', deploymentId: IDS.project, since: AT, restarts: 14 };
  const down = { ...app, errorCode: 'ORK_APP_EXITED', message: 'The app exited with code 1.' };
  const report = await checkAll(await subject(t, { agent: { ...agent, downApps: [down] } }));
  assert.equal(report.level, 'degraded');
  assert.match(
    renderStatus(report),
    /shop\/production: down since 1970\S+: The app exited with code 1\. \(ORK_APP_EXITED\), 14 restarts.*logs --app shop\/production/,
  );
  const well = await checkAll(await subject(t, { agent: { ...agent, downApps: [] } }));
  assert.deepEqual([well.level, well.checks['apps']?.summary], ['ok', 'none is down']);
});

test('a hanging agent is reported as not answering, not as stopped', async (t) => {
  const report = await checkAll(await subject(t, { agent: null, silent: true }));
  assert.match(report.checks['agent']?.summary ?? '', /does not answer/);
});

test('a certificate about to expire and a domain without one are degraded and listed first', async (t) => {
  const certificates = async (): Promise<CertificateList> => ({
    certificates: [
      certificate('b.test', '1971-01-01T00:00:00.000Z'),
      certificate('a.test', '1970-01-03T00:00:00.000Z'),
    ],
    missing: [{ host: 'c.test', reason: 'no A record', retryAt: null }],
  });
  const missingOne = async (): Promise<CertificateList> => ({
    certificates: [],
    missing: (await certificates()).missing,
  });
  const report = await checkAll(await subject(t, { proxy: { ...proxy, certificates } }));
  assert.equal(report.checks['certificates']?.level, 'degraded');
  assert.deepEqual(
    report.checks['certificates']?.details?.map((line) => line.split(/[ :]/, 1)[0]),
    ['c.test', 'a.test', 'b.test'],
  );
  const beside = await checkAll(
    await subject(t, { proxy: { ...proxy, certificates: missingOne }, endsTlsBefore: true }),
  );
  const { level, summary } = beside.checks['certificates'] ?? {};
  assert.deepEqual([level, summary], ['ok', 'https is handled by your web server']);
});

test('a running build engine is reported with the size of its cache; a leftover pid file is not an engine', async (t) => {
  const parts = await subject(t);
  mkdirSync(join(parts.sandboxFolder, 'a'), { recursive: true });
  mkdirSync(join(parts.stateFolder, 'sandbox'));
  writeFileSync(join(parts.stateFolder, 'sandbox', 'layer'), Buffer.alloc(3_000_000, 1));
  const engine = spawn('sleep', ['100'], { argv0: 'dockerd' });
  t.after(() => engine.kill());
  await once(engine, 'spawn');
  writeFileSync(join(parts.sandboxFolder, 'a', 'dockerd.pid'), `${engine.pid}`);
  writeFileSync(join(parts.sandboxFolder, 'dockerd.pid'), `${process.pid}`);
  const { checks } = await checkAll(parts);
  assert.deepEqual(checks['sandbox']?.data['pids'], [engine.pid]);
  assert.ok(Number(checks['sandbox']?.data['cacheBytes']) >= 3_000_000);
});

test('a check that never ends is reported as such, and the others still answer', async (t) => {
  const hung: Check = { name: 'hung', run: () => new Promise<never>(() => undefined) };
  const fine: Check = { name: 'fine', run: async () => ({ level: 'ok', summary: 'so', data: {} }) };
  const { level, checks } = await checkAll(await subject(t, { answerMs: 100 }), [hung, fine]);
  assert.equal(level, 'down');
  assert.match(checks['hung']?.summary ?? '', /no result in 0\.4 s.*orkestr-agent doctor/);
  assert.equal(checks['fine']?.level, 'ok');
});

test('a worker is shown without a domain and without a port, and is no warning', async (t) => {
  const worker = tableView(upstreamView({ id: IDS.environment, targets: [targetView({ id: IDS.host })] }));
  const report = await checkAll(await subject(t, { proxy: { ...proxy, table: async () => worker } }));
  assert.equal(report.checks['proxy']?.level, 'ok', renderStatus(report));
  assert.match(renderStatus(report), new RegExp(`no domain: 172\\.30\\.0\\.2 healthy \\(${IDS.host}\\)`));
});

test('a proxy that does not answer is down', async (t) => {
  const away = {
    ...proxy,
    table: async (): Promise<never> => {
      throw new OrkestrError('ORK_PROXY_UNREACHABLE', 'nobody there');
    },
  };
  const report = await checkAll(await subject(t, { proxy: away }));
  assert.equal(report.checks['proxy']?.level, 'down');
  assert.equal(report.checks['proxy']?.summary, 'nobody there');
});

test('the status for the hub fits its schema even if nothing answers', async (t) => {
  const { stateFolder, dockerSocket, proxy } = await subject(t);
  const lacks = { host: 'b.test', reason: 'ORK_ACME_DNS: it leads elsewhere', retryAt: null };
  const lacking = { ...proxy, certificates: () => Promise.resolve({ certificates: [], missing: [lacks] }) };
  const error = { code: 'ORK_APP_EXITED' as const, message: 'The app exited with code 1.', evidence: [] };
  const ids = { environmentId: IDS.environment, deploymentId: IDS.project };
  const down = [{ ...ids, since: AT, exitCode: 1, restarts: 14, error }];
  const facts = {
    agentVersion: '1',
    dockerSocket,
    stateFolder,
    outboxSize: () => 3,
    downApps: () => down,
    now: () => 0,
  };
  const sources = { ...facts, proxy: lacking, endsTlsBefore: false };
  const well = HostStatus.parse(await hostStatus(sources));
  assert.deepEqual(
    well.certificates?.map(({ host, error }) => [host, error.code]),
    [['b.test', 'ORK_ACME_DNS']],
  );
  assert.deepEqual((await hostStatus({ ...sources, endsTlsBefore: true })).certificates, []);
  assert.deepEqual(well.downApps, down);
  assert.equal('downApps' in (await hostStatus({ ...sources, downApps: () => null })), false);
  assert.deepEqual(well.engine, { reachable: true, version: '20.10.24', liveRestore: true });
  const isAway = () => Promise.reject(new Error('away'));
  const away = { table: isAway, certificates: isAway };
  const ill = HostStatus.parse(await hostStatus({ ...sources, dockerSocket: '/nonexistent.sock', proxy: away }));
  assert.deepEqual([ill.engine.reachable, ill.proxy.reachable, ill.certificates], [false, false, undefined]);
});
