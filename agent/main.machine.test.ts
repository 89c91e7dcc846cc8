/**
 * The agent as a process on the real engine: its command line, one agent per state folder, killed, stopped, removed.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { tmpdir } from 'node:os';
import manifest from '../package.json' with { type: 'json' };
import { runOurs, startOurs } from '../test/harness/our-program.ts';
import { makeFirewall } from './firewall/firewall.ts';
import { run } from './lib/exec.ts';
import { localIdentity, scopeOf } from './identity/identity.ts';
import { IDS } from './deployment/test-job.ts';

interface Serving {
  readonly child: ChildProcess;
  readonly exit: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly ready: Promise<void>;
}

describe('orkestr-agent', () => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-agent-main-'));
  const state = join(folder, 'state');
  const env = {
    ORKESTR_AGENT_STATE: state,
    ORKESTR_AGENT_RUN: join(folder, 'run'),
    ORKESTR_PROXY_SOCKET: join(folder, 'run', 'proxy.sock'),
    ORKESTR_LOG_LEVEL: 'info',
    ORKESTR_FAILPOINT: '',
  };
  // A proxy that serves nothing: reconcile and status need one that answers.
  const proxy = createServer((_request, response) => {
    response.end(JSON.stringify({ version: 1, startedAt: new Date(0).toISOString(), upstreams: [] }));
  });

  const agent = (...args: string[]) => runOurs('agent/main.ts', args, env);
  const agentWith = (settings: Readonly<Record<string, string>>, ...args: string[]) =>
    runOurs('agent/main.ts', args, { ...env, ...settings });
  const served: Serving[] = [];
  const serve = (): Serving => {
    const child = startOurs('agent/main.ts', ['serve'], env);
    const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    const ready = new Promise<void>((resolve, reject) => {
      let log = '';
      child.stdout.on('data', (chunk: Buffer) => {
        log += String(chunk);
        if (log.includes('"msg":"ready"')) resolve();
      });
      void exit.then(() => reject(new Error(`the agent ended before it was ready: ${log}`)));
    });
    ready.catch(() => undefined); // reported to whoever awaits it
    const one = { child, exit, ready };
    served.push(one);
    return one;
  };

  before(async () => {
    mkdirSync(join(folder, 'run'));
    proxy.listen(env.ORKESTR_PROXY_SOCKET);
    await once(proxy, 'listening');
  });
  after(async () => {
    for (const { child, exit } of served) {
      child.kill('SIGKILL');
      await exit;
    }
    await agent('uninstall', '--purge');
    proxy.closeAllConnections();
    proxy.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('prints its version', async () => {
    assert.equal((await agent('--version')).stdout.trim(), manifest.version);
  });

  test('refuses to serve before it has an identity, and says what to do', async () => {
    const { code, stderr } = await agent('serve');
    assert.equal(code, 1);
    assert.match(stderr, /ORK_CONFIG: .*Join a hub first/);
  });

  test('reports the status of a host without a running agent, including engine and proxy, with exit code 2', async () => {
    const { code, stdout } = await agent('status', '--json', '--wait', '20');
    assert.equal(code, 2);
    const { checks } = JSON.parse(stdout) as { checks: Record<string, { level: string; summary: string }> };
    assert.match(checks['agent']?.summary ?? '', /not running/);
    assert.equal(checks['proxy']?.level, 'ok');
    assert.match(checks['engine']?.summary ?? '', /^Docker Engine/);
  });

  test('sets the rules that isolate apps before an engine or an agent runs; without an identity it says what to do', async (t) => {
    const early = await agent('firewall');
    assert.match(early.stderr, /ORK_CONFIG: .*Join a hub first/);
    const { hostId } = localIdentity(state, 0);
    const firewall = makeFirewall({ scope: scopeOf(hostId) });
    t.after(() => firewall.remove());
    const { code, stderr } = await agentWith({ ORKESTR_DOCKER_SOCKET: join(folder, 'no-engine') }, 'firewall');
    assert.equal(code, 0, stderr);
    assert.deepEqual(await firewall.lacks(), []);
  });

  test('runs one agent per state folder, even after kill -9, and stops cleanly', async () => {
    localIdentity(state, 0);
    const first = serve();
    await first.ready;
    const second = await agent('serve');
    assert.equal(second.code, 1);
    assert.match(second.stderr, new RegExp(`ORK_ALREADY_RUNNING: .*process ${first.child.pid}`));
    first.child.kill('SIGKILL');
    assert.deepEqual(await first.exit, [null, 'SIGKILL']);

    const third = serve();
    await third.ready;
    const { stdout } = await agent('status', '--json', '--wait', '20');
    const { checks } = JSON.parse(stdout) as { checks: Record<string, { level: string; data: { pid?: number } }> };
    assert.equal(checks['agent']?.data.pid, third.child.pid);
    assert.equal(checks['hub']?.level, 'ok', 'a host without a hub misses none');
    third.child.kill('SIGTERM');
    assert.deepEqual(await third.exit, [0, null]);
  });

  test('runs one job from a file without a hub: progress goes to stderr, the result to stdout, the log to a file', async (t) => {
    // A web server without any repository: the deployment must end with the error code for that.
    const web = createServer((_request, response) => response.writeHead(404).end()).listen(0, '127.0.0.1');
    t.after(() => web.close());
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    const job = {
      kind: 'deploy',
      project: { id: IDS.project, slug: 'shop' },
      environment: { id: IDS.environment, slug: 'production' },
      source: { origin: 'external', url: `http://127.0.0.1:${port}/shop.git`, branch: 'main' },
      commit: 'c'.repeat(40),
      settings: {},
      env: {},
      keepImages: 1,
    };
    const path = join(folder, 'job.json');
    writeFileSync(path, JSON.stringify(job));
    const { code, stdout, stderr } = await agent('run', path);
    assert.equal(code, 1);
    const result = JSON.parse(stdout) as {
      ok: boolean;
      deployment: { status: string; deploymentId: string; error: { code: string } };
    };
    assert.equal(result.ok, false);
    assert.equal(result.deployment.error.code, 'ORK_REPO_ACCESS');
    assert.match(stderr, /-- clone: failed/);
    const logs = await agent('logs', '--step', 'clone');
    assert.match(logs.stdout, /ORK_REPO_ACCESS/);
    assert.equal((await agent('logs', result.deployment.deploymentId)).code, 0);
    assert.match((await agent('logs', '../../etc')).stderr, /ORK_INVALID/);
    assert.match((await agent('logs', '--step', 'nonsense')).stderr, /There is no step nonsense/);
  });

  test('refuses an invalid job file with an error that names the file', async () => {
    const path = join(folder, 'bad.json');
    writeFileSync(path, '{"kind":"deploy","commit":"--upload-pack=evil"}');
    const { code, stderr } = await agent('run', path);
    assert.equal(code, 1);
    assert.match(stderr, /ORK_INVALID: .*bad\.json/);
  });

  test('leaves its hub only with a confirmation, and can then join another', async () => {
    localIdentity(state, 0);
    const careful = await agent('leave');
    assert.equal(careful.code, 1);
    assert.match(careful.stderr, /--yes/);
    assert.ok(existsSync(state));
    const { code, stdout } = await agent('leave', '--yes');
    assert.equal(code, 0, stdout);
    assert.match(stdout, /orkestr hosts add NAME/);
    assert.ok(!existsSync(state));
  });

  test('uninstalls only with a confirmation, and then leaves nothing of its scope behind', async () => {
    const { hostId } = localIdentity(state, 0);
    const careful = await agent('uninstall');
    assert.equal(careful.code, 1);
    assert.ok(existsSync(state));
    const { code, stdout } = await agent('uninstall', '--purge');
    assert.equal(code, 0, stdout);
    assert.ok(!existsSync(state));
    const rules = await run('iptables-save', [], { timeoutMs: 10_000 });
    assert.ok(!rules.stdout.includes(scopeOf(hostId)));
    assert.equal((await agent('uninstall', '--purge')).code, 0, 'twice is fine');
  });
});
