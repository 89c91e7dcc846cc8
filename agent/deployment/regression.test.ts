import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ContainerRuntime, ContainerState } from './ports.ts';
import { cutover, hasFlipped } from './steps/cutover.ts';
import { aContext, RUNNING as SERVING } from './test-context.ts';
import { secondJob, IDS } from './test-job.ts';
import type { JobChanges } from './test-job.ts';
import { scripted } from './test-ports.ts';
import type { ScriptedContext } from './test-context.ts';
import { ModelProxy } from './test-proxy.ts';

const RUNNING = { running: true } as ContainerState;

interface Scene {
  readonly proxy: ModelProxy;
  readonly context: ScriptedContext;
  container: ContainerState | null;
  /** Containers that the engine is to restart when they end. */
  readonly kept: string[];
}

function aScene(settings: JobChanges = {}, isLive = false): Scene {
  const proxy = new ModelProxy(IDS.environment, 1, IDS.previous);
  const containers = scripted<ContainerRuntime>('containers', {
    inspect: async () => scene.container,
    tail: async () => ['Error: no database', '    at start'],
    keepRunning: async (name) => void scene.kept.push(name),
  });
  const context = aContext({
    job: secondJob(settings),
    ports: { proxy: proxy.port(), containers },
    outputs: SERVING,
    previous: { deploymentId: IDS.previous },
    isLive,
  });
  const scene: Scene = { proxy, context, container: RUNNING, kept: [] };
  return scene;
}

const regressed = (error: unknown): boolean => error instanceof OrkestrError && error.code === 'ORK_APP_REGRESSED';

for (const verdict of ['refuses', 'errors'] as const) {
  test(`if a target ${verdict} in its window, the old one serves again, the new one drains, and the error says why`, async () => {
    const { proxy, context } = aScene();
    proxy.verdict = verdict;
    await assert.rejects(cutover.run(context), (error: OrkestrError) => {
      assert.equal(error.code, 'ORK_APP_REGRESSED');
      assert.deepEqual(error.evidence, [
        'refused 3 connections in a row',
        'it had 0 requests: 0 answered 5xx, 0 failed; 0 failed after the flip back',
        'app: Error: no database',
        'app:     at start',
      ]);
      return true;
    });
    assert.deepEqual(proxy.served, [IDS.previous, IDS.deployment, IDS.previous]);
    assert.equal(proxy.drained.at(-1), IDS.deployment);
    assert.equal(await hasFlipped(context), false);
    assert.ok(context.lines.includes(`flipped back: ${IDS.previous} serves again`));
  });
}

test('a healthy target, or one that another deployment replaced, is not flipped back', async () => {
  for (const verdict of ['good', 'replaced'] as const) {
    const { proxy, context } = aScene();
    proxy.verdict = verdict;
    await cutover.run(context);
    assert.deepEqual(proxy.served, [IDS.previous, IDS.deployment]);
    assert.deepEqual(proxy.drained, [IDS.previous]);
  }
});

test('the deployment leaves its slot once the window is over, however long the drain takes', async () => {
  const { proxy, context } = aScene();
  const watching = Promise.withResolvers<void>();
  const draining = Promise.withResolvers<void>();
  const real = proxy.port();
  context.ports.proxy.watch = async (...request) => {
    await watching.promise;
    return real.watch(...request);
  };
  context.ports.proxy.drain = async (...request) => {
    await draining.promise;
    return real.drain(...request);
  };
  const ended = cutover.run(context);
  const { clock } = context.ports;
  await clock.sleep(1000);
  assert.equal(context.hasLeftSlot(), false, 'it may still have to be flipped back');
  watching.resolve();
  await clock.sleep(1000);
  assert.equal(context.hasLeftSlot(), true);
  draining.resolve();
  await ended;
});

test('once the window is over the new container gets its restart policy, however long streams drain', async () => {
  const { proxy, context, kept } = aScene();
  const draining = Promise.withResolvers<void>();
  const real = proxy.port();
  context.ports.proxy.watch = async (...request) => {
    await context.ports.clock.sleep(3000);
    return real.watch(...request);
  };
  context.ports.proxy.drain = async (...request) => {
    await draining.promise;
    return real.drain(...request);
  };
  const ended = cutover.run(context);
  await context.ports.clock.sleep(2000);
  assert.deepEqual(
    [kept, context.hasTakenOver()],
    [[], false],
    'a crash must be seen as one, and it may be flipped back',
  );
  await context.ports.clock.sleep(2000);
  assert.deepEqual([kept, context.hasTakenOver()], [[`orkestr-${IDS.deployment}`], true]);
  draining.resolve();
  await ended;
});

test('an unreachable engine at the end of the window holds up neither the drain nor the takeover', async () => {
  const { context } = aScene();
  context.ports.containers.keepRunning = () => Promise.reject(new OrkestrError('ORK_ENGINE_UNREACHABLE', 'away'));
  await cutover.run(context);
  assert.equal(context.hasTakenOver(), true);
});

test('after a restart during its drain, a target that has taken over is not watched again', async () => {
  const { proxy, context } = aScene({}, true);
  proxy.verdict = 'refuses';
  await cutover.run(context);
  assert.deepEqual(proxy.served, [IDS.previous, IDS.deployment]);
  assert.deepEqual(proxy.drained, [IDS.previous]);
});

test('a target that was flipped back does not become live', async () => {
  const { proxy, context, kept } = aScene();
  proxy.verdict = 'refuses';
  await assert.rejects(cutover.run(context), regressed);
  assert.deepEqual([kept, context.hasTakenOver()], [[], false]);
});

test('after a flip back the deployment leaves its slot while the new target drains', async () => {
  const { proxy, context } = aScene();
  proxy.verdict = 'refuses';
  const left: boolean[] = [];
  const real = proxy.port();
  context.ports.proxy.flipBack = (...request) => {
    left.push(context.hasLeftSlot());
    return real.flipBack(...request);
  };
  context.ports.proxy.drain = (request, signal) => {
    if (request.targetId === IDS.deployment) left.push(context.hasLeftSlot());
    return real.drain(request, signal);
  };
  await assert.rejects(cutover.run(context), regressed);
  assert.deepEqual(left, [false, true]);
});

test('the settings of the environment define what makes a target bad', async () => {
  const watch = { refusals: 9, errorRatio: 0.5, errorFactor: 2, minRequests: 100 };
  const { context } = aScene({ settings: { watch, watchSeconds: 7 } });
  const asked: unknown[] = [];
  context.ports.proxy.watch = async (request) => {
    asked.push(request);
    return { verdict: 'good', reason: '' };
  };
  await cutover.run(context);
  assert.deepEqual(asked, [{ upstreamId: IDS.environment, targetId: IDS.deployment, seconds: 7, ...watch }]);
});

test('a container that exits in the window is detected without any visitor', async () => {
  const scene = aScene();
  scene.proxy.around = (call) => {
    if (call === 'flip') scene.container = { running: false, exitCode: 3, oomKilled: false } as ContainerState;
  };
  scene.context.ports.proxy.watch = (_request, signal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  await assert.rejects(cutover.run(scene.context), (error: OrkestrError) => {
    assert.match(error.evidence[0] ?? '', /exited with code 3 after it had taken over/);
    return regressed(error);
  });
  assert.equal(scene.proxy.active, IDS.previous);
});

test('a worker that crashes in the window is flipped back, and its error counts no requests', async () => {
  const scene = aScene({ settings: { healthCheck: { kind: 'running', runSeconds: 10 } } });
  scene.proxy.around = (call) => {
    if (call === 'flip') scene.container = { running: false, exitCode: 3, oomKilled: false } as ContainerState;
  };
  scene.context.ports.proxy.watch = () => new Promise(() => undefined);
  await assert.rejects(cutover.run(scene.context), (error: OrkestrError) => {
    const [why = '', ...others] = error.evidence;
    assert.match(why, /exited with code 3 after it had taken over/);
    assert.deepEqual(others, ['app: Error: no database', 'app:     at start']);
    return regressed(error);
  });
  assert.equal(scene.proxy.active, IDS.previous);
});

test('an engine that does not answer in the window does not count against the app', async () => {
  const { proxy, context } = aScene();
  context.ports.proxy.watch = async () => {
    await context.ports.clock.sleep(2000);
    return { verdict: 'good', reason: '' };
  };
  context.ports.containers.inspect = () => Promise.reject(new OrkestrError('ORK_ENGINE_TIMEOUT', 'silent'));
  await cutover.run(context);
  assert.equal(proxy.active, IDS.deployment);
  assert.equal(context.lines.filter((line) => line.startsWith('the container cannot be looked at')).length, 1);
});

test('without a watch window nothing is watched, so even a bad target is not flipped back', async () => {
  const { proxy, context } = aScene({ settings: { watchSeconds: 0 } });
  proxy.verdict = 'refuses';
  await cutover.run(context);
  assert.deepEqual(proxy.served, [IDS.previous, IDS.deployment]);
});

test('if the proxy no longer knows the old target, the step fails and visitors stay on the new one', async () => {
  const { proxy, context } = aScene();
  proxy.verdict = 'errors';
  proxy.around = (call, moment) => {
    if (call === 'watch' && moment === 'after') proxy.restart();
  };
  await assert.rejects(cutover.run(context), regressed);
  assert.equal(await hasFlipped(context), true);
});

test('if a drain fails during the flip back, the step ends only after the flip back has ended', async () => {
  const { proxy, context } = aScene();
  proxy.verdict = 'errors';
  const { clock } = context.ports;
  const flippingBack = Promise.withResolvers<void>();
  const port = proxy.port();
  context.ports.proxy.drain = async () => {
    await flippingBack.promise;
    throw new OrkestrError('ORK_PROXY_UNREACHABLE', 'The answer was lost.');
  };
  context.ports.proxy.flipBack = async (request) => {
    flippingBack.resolve();
    await clock.sleep(100);
    return port.flipBack(request);
  };
  await assert.rejects(cutover.run(context), { code: 'ORK_PROXY_UNREACHABLE' });
  assert.equal(proxy.active, IDS.previous);
});

test('a flip back happens even if the lines of the app cannot be read', async () => {
  const { proxy, context } = aScene();
  proxy.verdict = 'errors';
  context.ports.containers.tail = () => Promise.reject(new Error('the engine is away'));
  await assert.rejects(cutover.run(context), regressed);
  assert.equal(proxy.active, IDS.previous);
});

test('after a crash at any call, the rerun step flips and flips back at most once and ends with the error', async () => {
  class Crash extends Error {}
  let points = 0;
  for (let crashAt = 0; ; crashAt += 1) {
    const { proxy, context } = aScene();
    proxy.verdict = 'refuses';
    let seen = 0;
    proxy.around = () => {
      seen += 1;
      if (seen === crashAt) throw new Crash();
    };
    const first = await cutover.run(context).catch((error: unknown) => error);
    if (!(first instanceof Crash)) {
      assert.ok(regressed(first));
      if (crashAt > 0) break; // there are no more calls than that
      continue;
    }
    points += 1;
    await assert.rejects(cutover.run(context), regressed, `crash at call ${crashAt}`);
    assert.deepEqual(proxy.served, [IDS.previous, IDS.deployment, IDS.previous], `crash at call ${crashAt}`);
    assert.equal(proxy.drained.at(-1), IDS.deployment);
    assert.equal(await hasFlipped(context), false);
    // However often it is called.
    await assert.rejects(cutover.run(context), regressed);
    assert.equal(proxy.served.length, 3);
  }
  assert.ok(points >= 10, `only ${points} points`);
});
