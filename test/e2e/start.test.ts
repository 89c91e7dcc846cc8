/** `npm start` as in the README, in a home folder of its own. One story in the order of its tests. */
import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { z } from 'zod';
import { scopeOf } from '../../agent/identity/identity.ts';
import { Deployment } from '../../hub/api/schemas.ts';
import { Client } from '../../hub/cli/client.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';
import { ProcessIdentity } from '../../installer/stack/process-identity.ts';
import { runProgram } from '../../installer/stack/run-program.ts';
import { Service } from '../../installer/stack/service.ts';
import { agentState, ourProgram } from '../../installer/stack/stack.ts';
import { Home } from '../../installer/start/home.ts';
import { stackPlan } from '../../installer/start/installation.ts';
import { endLeftovers } from '../../installer/start/processes.ts';
import { keepRecord, noteScope, sweep } from '../harness/records.ts';
import { until } from '../harness/until.ts';

/** For a start with two builds, or a stop, on a loaded machine, ms. */
const LONG_MS = 240_000;
const DEPLOYMENTS = '/projects/hello/environments/production/deployments';

const Report = z.object({
  ok: z.literal(true),
  deployments: z.array(z.object({ id: z.string(), status: z.string() })),
  requests: z.number(),
  failedRequests: z.number(),
});

describe('npm start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-start-'));
  const home = new Home(join(folder, 'home'));
  const plan = stackPlan(home, 1, 1);
  const argv = (...options: string[]): [string, ...string[]] => [
    ...ourProgram('installer/bootstrap.mjs'),
    'start',
    '--home',
    home.folder,
    ...options,
  ];
  const started: Service[] = [];
  let deployed: string[] = [];

  // What a killed test run leaves is removed by its runner.
  before(() => keepRecord(plan));
  after(async () => {
    for (const service of started) await service.stop(LONG_MS);
    await endLeftovers(plan);
    await sweep(home.folder);
    rmSync(folder, { recursive: true });
  });

  /** Starts it in the foreground, as a person does. Resolves when it shows where everything is. */
  async function start(): Promise<Service> {
    const logFile = join(folder, 'start.log');
    const service = await Service.start({ name: 'npm start', argv: argv(), env: process.env, logFile });
    started.push(service);
    const isUp = (): boolean => !service.running || service.log().includes('Ctrl-C stops everything');
    await until(isUp, 'npm start shows where everything is', { lookMs: 100, neverMs: LONG_MS });
    assert.ok(service.running, service.log());
    return service;
  }

  /** The version that answers, and the deployments that the hub knows. */
  async function found(service: Service): Promise<{ version: unknown; deployments: string[] }> {
    const [, url = ''] = /^console {2}(\S+)$/m.exec(service.log()) ?? [];
    const [, host = '', proxyUrl = ''] = /curl -H 'Host: (\S+)' (\S+)$/m.exec(service.log()) ?? [];
    const answer = await request(`${proxyUrl}/version`, { headers: { host } });
    await answer.body.dump();
    const client = new Client({ url, token: home.credentials()?.token ?? '' });
    const deployments = await client.get(DEPLOYMENTS, z.array(Deployment));
    await client.close();
    return { version: answer.headers['x-version'], deployments: deployments.map(({ id }) => id) };
  }

  test('--once deploys two versions of the sample under traffic, reports them as JSON, and stops everything', async () => {
    const { code, stdout, stderr } = await runProgram(argv('--once'), { timeoutMs: LONG_MS });
    assert.equal(code, 0, stdout + stderr);
    const report = Report.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
    assert.deepEqual(
      report.deployments.map(({ status }) => status),
      ['live', 'live'],
    );
    assert.ok(report.requests > 2000, `only ${report.requests} requests`);
    assert.equal(report.failedRequests, 0);
    assert.equal(await endLeftovers(plan), 0, 'no process still runs');
    deployed = report.deployments.map(({ id }) => id).toReversed();
    noteScope(scope());
  });

  test('a start after it continues with all of it, and so does one after a start that was killed', async () => {
    const expected = { version: '2', deployments: deployed };
    const first = await start();
    assert.deepEqual(await found(first), expected);
    const launcher = ProcessIdentity.parse(JSON.parse(readFileSync(home.path('launcher.json'), 'utf8')));
    process.kill(launcher.pid, 'SIGKILL');
    await first.exited;

    const second = await start();
    assert.deepEqual(await found(second), expected);
    await second.stop(LONG_MS);
    assert.deepEqual(await second.exited, { code: 0, signal: null });
    assert.equal(await endLeftovers(plan), 0, 'no process still runs');
  });

  test('--reset removes everything that npm start made', async () => {
    const label = `orkestr.scope=${scope()}`;
    const { code, stdout, stderr } = await runProgram(argv('--reset'), { timeoutMs: LONG_MS });
    assert.equal(code, 0, stdout + stderr);
    for (const path of [home.folder, plan.runFolder]) assert.ok(!existsSync(path), path);
    const engine = new EngineApi(DOCKER_SOCKET);
    const left = [await engine.containers(label), await engine.images(label), await engine.networks(label)];
    await engine.close();
    assert.deepEqual(left.flat(), []);
  });

  /** Of its agent. */
  function scope(): string {
    const identity = readFileSync(join(agentState(plan), 'identity.json'), 'utf8');
    return scopeOf(z.object({ hostId: z.string() }).parse(JSON.parse(identity)).hostId);
  }
});
