import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { Domain } from '../../protocol/edge.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Image } from '../../protocol/steps.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';
import type { ContainerRuntime, ContainerState, EdgeProxy } from './ports.ts';
import { deploy } from './steps/deploy.ts';
import { names } from './step.ts';
import { containerOf } from './test-container.ts';
import { aContext } from './test-context.ts';
import { secondJob, IDS } from './test-job.ts';
import { scripted } from './test-ports.ts';
import { outputFor } from './test-bench.ts';

const nameOf = (deploymentId: string): string => `orkestr-${deploymentId}`;

/** A host without room for two: starting a second container while one runs fails the test. */
class SmallHost {
  readonly running = new Set([nameOf(IDS.previous)]);
  readonly made = new Set([nameOf(IDS.previous)]);
  readonly did: string[] = [];
  held = false;
  /** Routes and edge settings in the proxy's table. */
  routes: Domain[] = [{ host: 'shop.example.com', pathPrefix: '/' }];
  edge = EdgeSettings.parse({ compression: true });
  /** Requests in flight on the old target: one fewer at each look. */
  inFlight = 2;
  /** Address of the old container after a restart. */
  addressAfterStart = '127.0.0.1';
  address = '127.0.0.1';
  crashAt = Infinity;
  /** Resolves when the old container has stopped. */
  ending: Promise<void> = Promise.resolve();
  /** Called before each engine or proxy call that changes something. */
  before: (what: string) => void = () => undefined;
  /** Grace that the last removed container was given. */
  graceSeconds = -1;
  #calls = 0;
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  readonly proxy = scripted<EdgeProxy>('proxy', {
    table: async () => {
      const target = targetView({
        id: IDS.previous,
        address: this.address,
        port: this.#port,
        inFlight: this.inFlight + 1,
      });
      if (this.held && this.inFlight > 0) this.inFlight -= 1;
      const { edge, routes } = this;
      return tableView(upstreamView({ id: IDS.environment, edge, routes, targets: [{ ...target, streams: 1 }] }));
    },
    hold: async ({ maxSeconds }) => {
      this.#note(`hold ${maxSeconds}`);
      this.held = true;
      return { held: 0, changed: true };
    },
    resume: async () => {
      this.#note('resume');
      this.held = false;
      return { held: 0, changed: true };
    },
    flip: async ({ entry, expectedGeneration }) => {
      assert.deepEqual([entry.generation, expectedGeneration, entry.edge], [1, 1, this.edge]);
      if (entry.targets[0]?.address !== this.address) {
        this.#note('move');
        this.held = false;
      }
      this.address = entry.targets[0]?.address ?? '';
      return { generation: 1, flippedAt: new Date(0).toISOString(), changed: false, previous: null };
    },
  });

  readonly containers = scripted<ContainerRuntime>('containers', {
    inspect: async (name) => (this.made.has(name) ? this.#state(name) : null),
    list: async () => [...this.made].map((name) => this.#state(name)),
    start: async ({ name }) => {
      this.made.add(name);
      return this.#start(name);
    },
    startExisting: async (name) => this.#start(name),
    tail: async () => [],
    stop: async (name) => {
      // The new container is stopped when it is removed; it serves nobody.
      if (name === names.container(IDS.deployment)) return;
      assert.ok(this.held, 'visitors wait while nobody serves');
      this.#note(`stop ${name}`);
      await this.ending;
      this.running.delete(name);
    },
    stopAndRemove: async (name, graceSeconds) => {
      this.#note(`remove ${name}`);
      this.graceSeconds = graceSeconds;
      this.running.delete(name);
      this.made.delete(name);
    },
  });

  #start(name: string): ContainerState {
    this.#note(`start ${name}`);
    assert.ok(this.made.has(name));
    this.running.add(name);
    assert.equal(this.running.size, 1, 'there is room for one');
    return this.#state(name);
  }

  #note(what: string): void {
    this.before(what);
    this.did.push(what);
    this.#calls += 1;
    if (this.#calls === this.crashAt) throw new Error('crash');
  }

  #state(name: string): ContainerState {
    const running = this.running.has(name);
    return containerOf(name.slice('orkestr-'.length), { running, address: running ? this.addressAfterStart : null });
  }
}

/** Accepts connections; returns its port. */
async function listen(t: TestContext, address: string, port = 0): Promise<number> {
  const app = createServer((socket) => socket.destroy()).listen(port, address);
  t.after(() => app.close());
  await once(app, 'listening');
  return (app.address() as AddressInfo).port;
}

type Cutover = 'hold' | 'overlap';
type Signals = { readonly signal?: AbortSignal; readonly removal?: AbortSignal };

async function aScene(t: TestContext, cutover: Cutover = 'hold', signals: Signals = {}) {
  const port = await listen(t, '127.0.0.1');
  const host = new SmallHost(port);
  const job = secondJob({ settings: { cutover, drainSeconds: 5, stopGraceSeconds: 30 } });
  const context = aContext({
    job,
    ports: { proxy: host.proxy, containers: host.containers },
    outputs: { build: outputFor('build', { job }) satisfies Image, analyze: outputFor('analyze', { job }) },
    previous: { deploymentId: IDS.previous },
    ...signals,
  });
  return { host, context, port };
}

const OLD = nameOf(IDS.previous);
const NEW = nameOf(IDS.deployment);

test('the proxy holds visitors, requests finish, the old container stops, and the new one starts in its place', async (t) => {
  const { host, context } = await aScene(t);
  await deploy.run(context);
  assert.deepEqual(host.did, ['hold 95', `stop ${OLD}`, `start ${NEW}`]);
  assert.equal(host.inFlight, 0);
  assert.ok(host.held, 'the flip will end it');
});

test('neither requests that miss the deadline nor streams delay the cutover', async (t) => {
  const { host, context } = await aScene(t);
  host.inFlight = 1000;
  await deploy.run(context);
  assert.ok(context.lines.some((line) => /\d+ requests have not ended in time/.test(line)));
  assert.ok(host.running.has(NEW));
});

test('undo removes the new container, starts the old one again, and lets visitors through', async (t) => {
  const { host, context } = await aScene(t);
  await deploy.run(context);
  host.did.length = 0;
  await deploy.undo?.(context);
  assert.deepEqual(host.did, [`remove ${NEW}`, `start ${OLD}`, 'resume']);
  assert.ok(!host.held);
  assert.equal(host.graceSeconds, 5, 'visitors wait while it ends, and it has served nobody');
});

test('undo points the proxy to the new address of the restarted old container', async (t) => {
  const { host, context, port } = await aScene(t);
  await listen(t, '127.0.0.2', port);
  await deploy.run(context);
  host.addressAfterStart = '127.0.0.2';
  await deploy.undo?.(context);
  assert.equal(host.address, '127.0.0.2');
  assert.ok(!host.held);
});

test('undo of a worker only starts the old container again, since it accepts no connections', async (t) => {
  const { host, context } = await aScene(t);
  await deploy.run(context);
  // Nothing listens there, and the clock of this scene would let all tries pass.
  host.addressAfterStart = '127.0.0.3';
  await assert.rejects(async () => deploy.undo?.(context), { code: 'ORK_PORT_CLOSED' });
  await deploy.undo?.({ ...context, previous: { deploymentId: IDS.previous, isWorker: true } });
  assert.equal(host.address, '127.0.0.3');
  assert.ok(host.running.has(OLD) && !host.held);
});

test('of an environment without a domain the log does not say that visitors are held', async (t) => {
  for (const routes of [[], [{ host: 'shop.example.com', pathPrefix: '/' }]]) {
    const { host, context } = await aScene(t);
    host.routes = routes;
    await deploy.run(context);
    assert.ok(host.did.includes('hold 95'), 'reconcile would start the stopped container again');
    assert.equal(
      context.lines.some((line) => line.startsWith('visitors are held')),
      routes.length > 0,
    );
  }
});

test('undo keeps edge settings that change while the old container starts', async (t) => {
  const { host, context, port } = await aScene(t);
  await listen(t, '127.0.0.2', port);
  await deploy.run(context);
  host.addressAfterStart = '127.0.0.2';
  host.before = (what) => {
    if (what === `start ${OLD}`) host.edge = EdgeSettings.parse({ maintenance: true });
  };
  await deploy.undo?.(context);
  assert.equal(host.address, '127.0.0.2');
});

test('undo fails if the old container cannot be started, and releases the visitors all the same', async (t) => {
  const { host, context } = await aScene(t);
  await deploy.run(context);
  host.made.delete(OLD);
  await assert.rejects(async () => deploy.undo?.(context), { code: 'ORK_APP_EXITED' });
  assert.ok(!host.held);
});

test('with the cutover mode overlap the proxy holds nobody and the old container keeps running', async (t) => {
  const { host, context } = await aScene(t, 'overlap');
  host.running.clear(); // only so that this small host accepts the new one
  await deploy.run(context);
  await deploy.undo?.(context);
  assert.deepEqual(host.did, [`start ${NEW}`, `remove ${NEW}`]);
  assert.equal(host.graceSeconds, 30);
});

const CANCELLED = new OrkestrError('ORK_CANCELLED', 'The deployment was cancelled.');

test('a cancel while the old container stops starts no new container, and undo restores the old one', async (t) => {
  const cancel = new AbortController();
  const { host, context } = await aScene(t, 'hold', { signal: cancel.signal });
  const ended = Promise.withResolvers<void>();
  host.ending = ended.promise;
  host.before = (what) => {
    if (what === `stop ${OLD}`) cancel.abort(CANCELLED);
  };
  const running = deploy.run(context);
  let isOver = false;
  const over = running.catch(() => undefined).then(() => (isOver = true));
  await setTimeout(20);
  assert.equal(isOver, false, 'an old container that only seems to run is not left to the way back');
  ended.resolve();
  await over;
  await assert.rejects(running, { code: 'ORK_CANCELLED' });
  await deploy.undo?.({ ...context, signal: new AbortController().signal });
  assert.deepEqual([...host.running], [OLD]);
  assert.ok(!host.did.includes(`start ${NEW}`));
  assert.ok(!host.held);
});

test('a cancel before the stop of the old container leaves it running', async (t) => {
  const cancel = new AbortController();
  const { host, context } = await aScene(t, 'hold', { signal: cancel.signal });
  host.inFlight = 0;
  host.before = () => cancel.abort(CANCELLED);
  await assert.rejects(deploy.run(context), { code: 'ORK_CANCELLED' });
  assert.deepEqual(host.did, ['hold 95']);
});

test('when the environment is being removed, the deployment does not wait for a slow old container to stop', async (t) => {
  const removal = new AbortController();
  const { host, context } = await aScene(t, 'hold', { signal: removal.signal, removal: removal.signal });
  host.ending = setTimeout(300);
  host.before = (what) => {
    if (what === `stop ${OLD}`) setImmediate(() => removal.abort(CANCELLED));
  };
  await assert.rejects(deploy.run(context), { code: 'ORK_CANCELLED' });
  assert.deepEqual(host.did, ['hold 95', `stop ${OLD}`]);
  assert.ok(host.running.has(OLD), 'its removal will end it sooner');
});

test('after a crash at any effect, a rerun or an undo of the step ends as it does without the crash', async (t) => {
  for (let crashAt = 1; crashAt <= 3; crashAt += 1) {
    const forward = await aScene(t);
    forward.host.crashAt = crashAt;
    await assert.rejects(deploy.run(forward.context), /crash/);
    await deploy.run(forward.context);
    assert.deepEqual([...forward.host.running], [NEW], `crash ${crashAt}, then forward`);

    const back = await aScene(t);
    back.host.crashAt = crashAt;
    await assert.rejects(deploy.run(back.context), /crash/);
    await deploy.undo?.(back.context);
    assert.deepEqual([...back.host.running], [OLD], `crash ${crashAt}, then back`);
    assert.ok(!back.host.held);
  }
});

test('after a crash during undo, the next undo completes it', async (t) => {
  for (let crashAt = 4; crashAt <= 6; crashAt += 1) {
    const { host, context } = await aScene(t);
    host.crashAt = crashAt;
    await deploy.run(context);
    await assert.rejects(async () => deploy.undo?.(context), /crash/);
    await deploy.undo?.(context);
    assert.deepEqual([...host.running], [OLD], `crash ${crashAt}`);
    assert.ok(!host.held);
  }
});
