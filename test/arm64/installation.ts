/** Hub, proxy and agent of the release as one installation: enrolled, pushed to, examined. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { Deployment, DeploymentDetail, Project } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import { Client } from '../../hub/cli/client.ts';
import type { ProgramName, ReleasedHost } from '../../installer/release/released-host.ts';
import { GitWorkTree } from '../../installer/stack/git-work-tree.ts';
import { runProgram } from '../../installer/stack/run-program.ts';
import type { Service } from '../../installer/stack/service.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import type { Subject } from './subject.ts';

/** Programs start slowly in emulation. */
const START_MS = 60_000;
const CLONE_MS = 60_000;

const Hosts = z.object({ hosts: z.array(z.object({ online: z.boolean() })) });
const Level = z.object({ level: z.string() });
const Doctor = z.object({ checks: z.array(Level.extend({ name: z.string() })) });
const Status = z.object({ checks: z.record(z.string(), Level) });
/** Checks of `doctor` that concern our own programs and the machine. */
const NEEDS_NO_ENGINE = ['proxy', 'agent', 'hub', 'clock', 'journal', 'disk', 'memory', 'cgroup', 'files', 'keys'];

export async function together({ host, state }: Subject): Promise<string> {
  const started: Service[] = [];
  const start = async (name: ProgramName, ready: string): Promise<Service> => {
    const service = await host.serve(name);
    started.push(service);
    await service.waitFor(ready, START_MS);
    return service;
  };
  try {
    const hub = await (await start('orkestr-hub', 'listening')).url();
    const page = await (await fetch(hub)).text();
    assert.match(page, /<script type="module"/, 'the console');
    const token = await host.join(hub);
    await start('orkestr-proxy', 'listening');
    await start('orkestr-agent', 'ready');
    const env = { ORKESTR_URL: hub, ORKESTR_TOKEN: token };
    const { hosts } = Hosts.parse(JSON.parse(await host.run('orkestr', ['hosts', 'list', '--json'], { env })));
    assert.deepEqual(hosts, [{ online: true }]);
    const pushed = await pushApp(new Client({ url: hub, token }), token, state);
    return `the hub has its host; ${pushed}; ${await examined(host)}`;
  } finally {
    for (const service of started.toReversed()) await service.stop();
  }
}

/** Output of doctor and status on a host without engine and network: everything else must be well. */
async function examined(host: ReleasedHost): Promise<string> {
  // Both exit with 1 when something is wrong, and the engine is missing.
  const ask = async (command: string): Promise<unknown> =>
    JSON.parse(
      (await runProgram(host.argv('orkestr-agent', command, '--json', '--wait', '60'), { env: host.env })).stdout,
    );
  const { checks } = Doctor.parse(await ask('doctor'));
  const named = (level: string): string[] => checks.filter((check) => check.level === level).map(({ name }) => name);
  assert.deepEqual(named('fail'), ['dns', 'engine']);
  for (const name of NEEDS_NO_ENGINE) assert.ok(named('ok').includes(name), `${name} is not ok`);
  const said = Status.parse(await ask('status')).checks;
  for (const name of ['agent', 'hub', 'proxy']) assert.equal(said[name]?.level, 'ok', name);
  return `doctor: ${named('ok').length} of ${checks.length} checks are ok, ${named('fail').join(' and ')} fail`;
}

/** A real git push to the hub; the agent is notified, and fetches from there. */
async function pushApp(client: Client, token: string, state: string): Promise<string> {
  try {
    const environment = { slug: 'production', branch: 'main' };
    const { gitRemote } = await client.post('/projects', { slug: 'app', environment }, Project);
    const tree = new GitWorkTree(join(state, 'pushed'), join(state, 'git.config'));
    await tree.init('main');
    cpSync(join(ROOT, 'test/fixtures/apps/express'), tree.folder, { recursive: true });
    await tree.commit('First version');
    await tree.push({ url: gitRemote ?? '', token }, 'main');
    const [pushed] = await client.get(
      `${apiPath('projects', 'app', 'environments', 'production')}/deployments`,
      z.array(Deployment),
      { limit: 1 },
    );
    assert.ok(pushed, 'the push made a deployment');
    await cloned(client, pushed.id);
    return 'what was pushed is cloned';
  } finally {
    await client.close();
  }
}

/** The clone must succeed. The step after it asks an engine for its images, and waits for one. */
async function cloned(client: Client, id: string): Promise<void> {
  const deadline = performance.now() + CLONE_MS;
  for (;;) {
    const { status, steps } = await client.get(apiPath('deployments', id), DeploymentDetail);
    if (steps.some((step) => step.name === 'clone' && step.status === 'done')) return;
    const now = steps.map((step) => `${step.name} ${step.status}`).join(', ');
    assert.ok(performance.now() < deadline, `the deployment is ${status}: ${now}`);
    await delay(200);
  }
}
