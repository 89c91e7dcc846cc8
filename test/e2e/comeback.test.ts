/** An app that crashes comes back by itself; visitors reach it at once, at any address and during any other work. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

/** Docker restarts it within a second, and the health check is fast. Reconcile alone checks only once a minute. */
const BACK_MS = 15_000;

/** Reports its version, keeps a stream open forever, and ends on request. */
const app = (version: string) => ({
  'package.json': JSON.stringify({ name: 'comeback', scripts: { start: 'node server.js' } }),
  'server.js': `
require('node:http').createServer((req, res) => {
  if (req.url === '/crash') process.exit(1);
  if (req.url !== '/stream') return res.end('version ${version}');
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  setInterval(() => res.write('data: here\\n\\n'), 500);
}).listen(process.env.PORT, '0.0.0.0');
`,
});

describe('an app that crashes', () => {
  let stack: Stack;
  let project: TestProject;
  let engine: EngineApi;

  before(async () => {
    stack = await startStack();
    engine = new EngineApi(stack.plan.dockerSocket);
    project = await stack.createProject(app('1'), { slug: 'comeback', settings: { streamDrainSeconds: 120 } });
    assert.equal((await project.deploy()).status, 'live');
  });
  after(async () => {
    await engine.close();
    await stack.stop();
  });

  /** Crashes the app. @returns how long visitors got no response afterwards, ms */
  async function crash(): Promise<number> {
    const began = performance.now();
    assert.notEqual((await project.get('/crash')).status, 200);
    while ((await project.get()).status !== 200) {
      assert.ok(performance.now() - began < 2 * BACK_MS, 'it does not come back');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return performance.now() - began;
  }

  test('after a deployment, whose old container has left its address free', async () => {
    assert.equal((await project.deploy(app('2'))).status, 'live');
    const ms = await crash();
    assert.ok(ms < BACK_MS, `it took ${Math.round(ms)} ms`);
    assert.equal((await project.get()).body, 'version 2');
  });

  test('while streams of the version before it drain', async () => {
    const streams = new AbortController();
    const { body } = await request(`${stack.proxyUrl}/stream`, {
      headers: { host: project.hostName },
      signal: streams.signal,
    });
    body.on('error', () => undefined).resume();
    project.tree.write(app('3'));
    await project.tree.commit('Version 3');
    const { id } = await project.push();
    while ((await project.get()).body !== 'version 3') await new Promise((resolve) => setTimeout(resolve, 100));
    await new Promise((resolve) => setTimeout(resolve, 2000)); // longer than its watch window
    const ms = await crash();
    assert.equal((await stack.deployment(id)).status, 'running', 'it drains still');
    assert.ok(ms < BACK_MS, `it took ${Math.round(ms)} ms`);
    assert.equal((await project.get()).body, 'version 3');
    streams.abort();
    assert.equal((await stack.waitForDeployment(id)).status, 'live');
    assert.equal((await engine.containers(`orkestr.scope=${stack.scope}`)).length, 1);
  });
});
