/** An app that crashes comes back by itself; visitors reach it at once, at any address and during any other work. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { nodeApp } from '../../harness/node-app.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';
import { until } from '../../harness/until.ts';

/** Docker restarts it within a second, and the health check is fast. Reconcile alone checks only once a minute. */
const BACK_MS = 15_000;

/**
 * Longer than the watch window of a test's project, ms. Only after it Docker restarts the new version, and nothing
 * outside of the agent shows its end.
 */
const WATCHED_MS = 2000;

/** Reports its version, keeps a stream open forever, and ends on request. */
const app = (version: string) =>
  nodeApp(`
  if (req.url === '/crash') process.exit(1);
  if (req.url !== '/stream') return res.end('version ${version}');
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  setInterval(() => res.write('data: here\\n\\n'), 500);
`);

export function comeback(given: () => Stack): void {
  let stack: Stack;
  let project: TestProject;

  before(async () => {
    stack = given();
    project = await stack.createProject(app('1'), { slug: 'comeback', settings: { streamDrainSeconds: 120 } });
    await project.goesLive();
  });

  /** Crashes the app. @returns how long visitors got no response afterwards, ms */
  async function crash(): Promise<number> {
    const began = performance.now();
    assert.notEqual((await project.get('/crash')).status, 200);
    await until(async () => (await project.get()).status === 200, 'the app is back', { lookMs: 50 });
    return performance.now() - began;
  }

  test('it is back after a deployment whose old container has left its address free', async () => {
    await project.goesLive(app('2'));
    const ms = await crash();
    assert.ok(ms < BACK_MS, `it took ${Math.round(ms)} ms`);
    assert.equal((await project.get()).body, 'version 2');
  });

  test('it is back while streams of the version before it drain', async () => {
    const streams = new AbortController();
    const { body } = await request(`${stack.proxyUrl}/stream`, {
      headers: { host: project.hostName },
      signal: streams.signal,
    });
    body.on('error', () => undefined).resume();
    const { id } = await project.push(app('3'));
    const isServed = async (): Promise<boolean> => (await project.get()).body === 'version 3';
    await until(isServed, 'version 3 serves', { lookMs: 100, neverMs: 180_000 });
    await sleep(WATCHED_MS);
    const ms = await crash();
    assert.equal((await stack.deployment(id)).status, 'running', 'it drains still');
    assert.ok(ms < BACK_MS, `it took ${Math.round(ms)} ms`);
    assert.equal((await project.get()).body, 'version 3');
    streams.abort();
    await stack.goesLive(id);
    assert.equal((await project.containers()).length, 1);
  });
}
