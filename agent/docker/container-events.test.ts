import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { LABEL } from '../lib/labels.ts';
import { systemClock } from '../lib/clock.ts';
import { silent } from '../lib/test-logger.ts';
import { until } from '../../test/harness/until.ts';
import { makeEngine } from './engine.ts';
import { watchContainerEvents } from './container-events.ts';

/** An engine whose events the test writes. */
async function aScene(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'ork-events-'));
  const listeners: ServerResponse[] = [];
  const asked: string[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/version') return response.end(JSON.stringify({ ApiVersion: '1.41', MinAPIVersion: '1.12' }));
    asked.push(decodeURIComponent(request.url ?? ''));
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    listeners.push(response);
    return response;
  }).listen(join(folder, 's'));
  await once(server, 'listening');
  const told: (string | null)[] = [];
  const ends: string[] = [];
  const stop = new AbortController();
  const watch = {
    scope: '0a0b0c0d',
    onChange: (deploymentId: string | null) => void told.push(deploymentId),
    onExit: (deploymentId: string, exitCode: number | null) => void ends.push(`${deploymentId} exited: ${exitCode}`),
    onMemory: (deploymentId: string) => void ends.push(`${deploymentId} out of memory`),
    clock: { sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(1, signal) },
    random: () => 0.5,
    log: silent,
  };
  const ended = watchContainerEvents(makeEngine({ socketPath: join(folder, 's') }), watch, stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { listeners, asked, told, ends, stop, ended };
}

const start = (deploymentId: string, Action = 'start', exitCode?: string): string =>
  `${JSON.stringify({ Action, Actor: { Attributes: { [LABEL.deployment]: deploymentId, exitCode } } })}\n`;

test("starts and removals of this agent's containers are reported at once, even if an event arrives in pieces", async (t) => {
  const { listeners, asked, told } = await aScene(t);
  await until(() => listeners.length === 1);
  assert.match(asked[0] ?? '', /"event":\["start","destroy","die","oom"\].*"orkestr\.scope=0a0b0c0d"/);
  const [first, second] = [start('a'), start('b', 'destroy')];
  listeners[0]?.write(first + second.slice(0, 20));
  await until(() => told.length === 1);
  listeners[0]?.write(second.slice(20));
  await until(() => told.length === 2);
  assert.deepEqual(told, ['a', 'b']);
});

test('the end of a container is reported with its exit code, and starts no round by itself', async (t) => {
  const { listeners, told, ends } = await aScene(t);
  await until(() => listeners.length === 1);
  listeners[0]?.write(start('a', 'oom') + start('a', 'die', '137') + start('b', 'die') + start('a'));
  await until(() => told.length === 1);
  assert.deepEqual([ends, told], [['a out of memory', 'a exited: 137', 'b exited: null'], ['a']]);
});

test('after a reconnect to the engine the watch reports that events may have been missed', async (t) => {
  const { listeners, told } = await aScene(t);
  await until(() => listeners.length === 1);
  listeners[0]?.destroy();
  await until(() => listeners.length === 2);
  listeners[1]?.write(start('c'));
  await until(() => told.length === 2);
  assert.deepEqual(told, [null, 'c']);
  // Anything but an event counts as an unreachable engine, too.
  listeners[1]?.write('no JSON\n');
  await until(() => listeners.length === 3);
});

test('stopping the watch closes its connection', async (t) => {
  const { listeners, stop, ended } = await aScene(t);
  await until(() => listeners.length === 1);
  stop.abort();
  await ended;
  await until(() => listeners[0]?.destroyed === true);
});
