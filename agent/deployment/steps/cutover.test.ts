import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { DrainAnswer, EdgeRequest, FlipAnswer, FlipRequest, UpstreamView } from '../../../protocol/proxy-admin.ts';
import { CutoverReceipt } from '../../../protocol/steps.ts';
import type { ContainerRuntime, ContainerState, EdgeProxy } from '../ports.ts';
import { aContext, RUNNING } from '../test-context.ts';
import { secondJob, IDS } from '../test-job.ts';
import { scripted } from '../test-ports.ts';
import type { ScriptedContext } from '../test-context.ts';
import { tableView as tableOf, targetView, upstreamView } from '../../proxy-client/test-table.ts';
import { cutover, hasFlipped } from './cutover.ts';

const upstream = (generation: number, id: string, failed = 0, served = 0): UpstreamView =>
  upstreamView({
    id: IDS.environment,
    generation,
    targets: [targetView({ id, requests: { served, failed: 0 } })],
    failed,
  });

const answer = (parts: Partial<FlipAnswer> = {}): FlipAnswer => ({
  generation: 2,
  flippedAt: '2030-01-01T00:00:01.000Z',
  changed: true,
  previous: { targetId: IDS.previous, inFlight: 3, streams: 1, requests: { served: 10, failed: 0 } },
  ...parts,
});

const drained = (parts: Partial<DrainAnswer> = {}): DrainAnswer => ({
  known: true,
  ms: 1,
  forced: 0,
  streams: { carried: 0, ended: 0, closed: 0 },
  requests: { served: 11, failed: 0 },
  ...parts,
});

const lost = new OrkestrError('ORK_PROXY_UNREACHABLE', 'The answer was lost.');

/** Answers of a proxy that was restarted since the flip and has no certificates. */
const RESTARTED: Partial<EdgeProxy> = {
  receipt: () => Promise.reject(new OrkestrError('ORK_NOT_FOUND', 'No flip since the restart.')),
  certificates: async () => ({ certificates: [], missing: [] }),
};

const AT = '2030-01-01T00:00:01.000Z';

const UP = { running: true, address: '172.20.0.3' } as ContainerState;

function contextWith(
  proxy: Partial<EdgeProxy>,
  more: Pick<Parameters<typeof aContext>[0], 'signal' | 'removal' | 'previous'> = {},
  containers: Partial<ContainerRuntime> = { inspect: async () => UP },
): ScriptedContext {
  const domains = [
    { host: 'shop.example', pathPrefix: '/' },
    { host: 'example.org', pathPrefix: '/shop' },
  ];
  return aContext({
    job: secondJob({ settings: { domains, drainSeconds: 7, streamDrainSeconds: 37 } }),
    ports: {
      proxy: scripted<EdgeProxy>('proxy', { ...RESTARTED, ...proxy }),
      containers: scripted<ContainerRuntime>('containers', { keepRunning: async () => undefined, ...containers }),
    },
    outputs: RUNNING,
    ...more,
  });
}

/** Returns the values one after the other; the last one repeats. */
function inTurn<T>(...values: T[]): () => Promise<T> {
  return async () => (values.length > 1 ? values.shift() : values[0]) as T;
}

describe('the step cutover', () => {
  test('flips over the generation that it saw, drains the old target, and returns a receipt with the counts', async () => {
    const flips: FlipRequest[] = [];
    const drains: unknown[] = [];
    const side = { errors: 0, firstRequestAt: AT, lastRequestAt: AT };
    const counted = {
      generation: 2,
      flippedAt: AT,
      previous: { ...side, targetId: IDS.previous, requests: { served: 13, failed: 0 }, inFlightAtFlip: 3 },
      current: { ...side, targetId: IDS.deployment, requests: { served: 90, failed: 0 } },
      drain: { ms: 12, forced: 1, streams: { carried: 4, ended: 1, closed: 3 } },
      held: null,
      failed: 1,
    };
    const context = contextWith({
      table: inTurn(tableOf(upstream(1, IDS.previous))),
      flip: async (request) => {
        flips.push(request);
        return answer();
      },
      receipt: async () => counted,
      drain: async (request) => {
        drains.push(request);
        return drained({ ms: 12, forced: 1, requests: { served: 13, failed: 0 } });
      },
    });
    const receipt = await cutover.run(context);
    assert.deepEqual(flips, [
      {
        entry: {
          id: IDS.environment,
          generation: 2,
          targets: [{ id: IDS.deployment, address: '172.20.0.3', port: 8080 }],
          routes: context.job.settings.domains,
          edge: context.job.settings.edge,
        },
        expectedGeneration: 1,
      },
    ]);
    const upstreamId = IDS.environment;
    const times = { deadlineSeconds: 7, streamDeadlineSeconds: 37, spreadSeconds: 10 };
    assert.deepEqual(drains, [{ upstreamId, targetId: IDS.previous, ...times }]);
    assert.deepEqual(receipt, { ...counted, urls: ['http://shop.example/', 'http://example.org/shop'] });
    assert.ok(context.lines.includes('requests: 13 by the old target, 90 by the new, 1 failed'));
    CutoverReceipt.parse(receipt);
  });

  test('a first deployment expects no upstream and drains nothing', async () => {
    const flips: FlipRequest[] = [];
    const context = contextWith({
      table: inTurn(tableOf(), tableOf(upstream(2, IDS.deployment))),
      flip: async (request) => {
        flips.push(request);
        return answer({ previous: null });
      },
    });
    const receipt = await cutover.run(context);
    assert.equal(flips[0]?.expectedGeneration, 0);
    assert.equal(receipt.previous, null);
    assert.equal(receipt.drain, null);
  });

  test('rejects an app that has exited since its last check', async () => {
    const context = contextWith(
      { table: inTurn(tableOf(upstream(1, IDS.previous))) },
      {},
      {
        inspect: async () => ({ ...UP, running: false, address: null, exitCode: 3, oomKilled: false }),
        tail: async () => ['no database'],
      },
    );
    await assert.rejects(cutover.run(context), {
      code: 'ORK_APP_EXITED',
      message: /exited with code 3 between its last check and the flip\. Its last line: no database/,
    });
  });

  test('an engine that does not answer before the flip does not delay it', async () => {
    const context = contextWith(
      { table: inTurn(tableOf()), flip: async () => answer({ previous: null }) },
      {},
      {
        inspect: () => Promise.reject(new OrkestrError('ORK_ENGINE_TIMEOUT', 'silent')),
      },
    );
    assert.equal((await cutover.run(context)).generation, 2);
  });

  test('after a reboot the flipped app is started again and the proxy gets its new address', async (t) => {
    const app = createServer((socket) => socket.destroy()).listen(8080, '127.0.0.7');
    t.after(() => app.close());
    await once(app, 'listening');
    const flips: string[] = [];
    let running = false;
    const state = () => ({ ...UP, running, address: running ? '127.0.0.7' : null }) as ContainerState;
    const context = contextWith(
      {
        table: inTurn(tableOf(upstream(2, IDS.deployment))),
        flip: async ({ entry }) => {
          flips.push(entry.targets[0]?.address ?? '');
          return answer({ changed: false, previous: null });
        },
      },
      {},
      {
        inspect: async () => state(),
        startExisting: async () => {
          running = true;
          return state();
        },
      },
    );
    await cutover.run(context);
    assert.deepEqual(flips, ['172.20.0.3', '127.0.0.7']);
  });

  test('a newer generation that already serves makes the step stale, and nothing is flipped', async () => {
    const context = contextWith({ table: inTurn(tableOf(upstream(3, IDS.previous))) });
    await assert.rejects(cutover.run(context), { code: 'ORK_GENERATION_STALE' });
  });

  test('the same generation with another target makes the step stale, and nothing is flipped', async () => {
    const context = contextWith({ table: inTurn(tableOf(upstream(2, IDS.previous))) });
    await assert.rejects(cutover.run(context), { code: 'ORK_GENERATION_STALE' });
  });

  test('after a lost answer the same flip is requested again and returns its answer', async () => {
    let flips = 0;
    const context = contextWith({
      table: inTurn(tableOf(upstream(1, IDS.previous)), tableOf(upstream(2, IDS.deployment))),
      flip: async () => {
        flips += 1;
        if (flips === 1) throw lost;
        return answer({ changed: false });
      },
      drain: async () => drained(),
    });
    const receipt = await cutover.run(context);
    assert.equal(flips, 2);
    assert.equal(receipt.previous?.targetId, IDS.previous);
  });

  test('settings that arrive during the flip are sent after it', async () => {
    const edges: EdgeRequest[] = [];
    const context = contextWith({
      table: inTurn(tableOf(upstream(1, IDS.previous))),
      flip: async () => answer(),
      drain: async () => drained(),
      edge: async (request) => {
        edges.push(request);
        return { changed: true };
      },
    });
    const own = context.edge();
    const newer = { ...own, edge: { ...own.edge, maintenance: true } };
    const settings = [own, newer];
    await cutover.run({ ...context, edge: () => settings.shift() ?? newer });
    assert.deepEqual(edges, [{ upstreamId: IDS.environment, expectedGeneration: 2, ...newer }]);
  });

  test('if an older deployment flips in between, the step reads the table again and flips over that', async () => {
    const expected: number[] = [];
    const context = contextWith({
      table: inTurn(tableOf(), tableOf(upstream(1, IDS.previous)), tableOf(upstream(2, IDS.deployment))),
      flip: async ({ expectedGeneration }) => {
        expected.push(expectedGeneration);
        if (expectedGeneration === 0) throw new OrkestrError('ORK_GENERATION_STALE', 'generation 1 is here');
        return answer({ previous: null });
      },
    });
    await cutover.run(context);
    assert.deepEqual(expected, [0, 1]);
  });

  test('gives up after three lost answers and returns their error', async () => {
    let flips = 0;
    const context = contextWith({
      table: inTurn(tableOf()),
      flip: async () => {
        flips += 1;
        throw lost;
      },
    });
    await assert.rejects(cutover.run(context), { code: 'ORK_PROXY_UNREACHABLE' });
    assert.equal(flips, 3);
  });

  test('a rejected flip is not retried', async () => {
    let flips = 0;
    const context = contextWith({
      table: inTurn(tableOf()),
      flip: async () => {
        flips += 1;
        throw new OrkestrError('ORK_ROUTE_TAKEN', 'Another environment has it.');
      },
    });
    await assert.rejects(cutover.run(context), { code: 'ORK_ROUTE_TAKEN' });
    assert.equal(flips, 1);
  });

  test('if a restarted proxy no longer knows the old target, the receipt keeps the counts of the flip', async () => {
    const context = contextWith({
      table: inTurn(tableOf(upstream(1, IDS.previous, 9)), tableOf(upstream(2, IDS.deployment, 2, 5))),
      flip: async () => answer(),
      drain: async () => drained({ known: false, ms: 0, requests: { served: 0, failed: 0 } }),
    });
    const receipt = await cutover.run(context);
    assert.deepEqual(receipt.previous?.requests, { served: 10, failed: 0 });
    assert.deepEqual(receipt.current.requests, { served: 5, failed: 0 });
    assert.equal(receipt.failed, 2);
  });

  test('a cancel before the flip ends the step; a cancel after the flip is too late', async () => {
    const cancelled = AbortSignal.abort(new OrkestrError('ORK_CANCELLED', 'Cancelled.'));
    const before = contextWith({ table: inTurn(tableOf()) }, { signal: cancelled });
    await assert.rejects(cutover.run(before), { code: 'ORK_CANCELLED' });

    const after = contextWith(
      {
        table: inTurn(tableOf(upstream(2, IDS.deployment))),
        flip: async () => answer({ changed: false, previous: null }),
      },
      { signal: cancelled },
    );
    assert.equal((await cutover.run(after)).generation, 2);
  });

  test('the removal of the environment ends a long drain and the watch window', async () => {
    const removal = new AbortController();
    const until = (signal: AbortSignal): Promise<never> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    const context = contextWith(
      {
        table: inTurn(tableOf(upstream(1, IDS.previous)), tableOf(upstream(2, IDS.deployment))),
        flip: async () => answer(),
        drain: async (_, signal) => {
          setImmediate(() => removal.abort(new OrkestrError('ORK_CANCELLED', 'The environment was deleted.')));
          return until(signal);
        },
        watch: async (_, signal) => until(signal),
      },
      { removal: removal.signal, previous: { deploymentId: IDS.previous } },
    );
    const receipt = await cutover.run(context);
    assert.equal(receipt.generation, 2);
    assert.equal(receipt.drain, null);
    assert.match(context.lines.join('\n'), /the environment is being deleted/);
  });

  test('has no undo, because the flip is the point of no return', () => {
    assert.ok(!('undo' in cutover));
  });

  test('hasFlipped reads the table of the proxy and rethrows when the proxy does not answer', async () => {
    const ask = (...upstreams: UpstreamView[]) => hasFlipped(contextWith({ table: inTurn(tableOf(...upstreams)) }));
    assert.equal(await ask(), false);
    assert.equal(await ask(upstream(1, IDS.previous)), false);
    assert.equal(await ask(upstream(2, IDS.deployment)), true);
    assert.equal(await ask(upstream(2, IDS.previous)), false);
    const silent = contextWith({
      table: async () => {
        throw lost;
      },
    });
    await assert.rejects(hasFlipped(silent), { code: 'ORK_PROXY_UNREACHABLE' });
  });
});
