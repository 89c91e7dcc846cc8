import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import { HoldRequest } from '../../protocol/proxy-admin.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import { makeReceipt } from '../control/receipt.ts';
import { counter, gauge, renderMetrics } from '../observe/snapshot.ts';
import type { Family } from '../observe/snapshot.ts';
import { Plane } from '../plane.ts';
import type { InFlight } from '../upstream/target.ts';
import type { Tally } from '../upstream/tally.ts';
import type { Channel } from './channel.ts';
import { PlaneGroup } from './group.ts';
import { ClientRates } from '../policy/client-rates.ts';
import { localPlanes } from './local.ts';
import { RemotePlanes } from './remote.ts';
import { servePlanes } from './serve.ts';

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;
const clock = { now: () => new Date(0), monotonic: () => performance.now() };
const log = makeLogger('proxy', 'silent');
const DRAIN = { upstreamId: uuid(0), deadlineSeconds: 30, streamDeadlineSeconds: 0, spreadSeconds: 0 };

function entry(generation: number, target: number, maxConcurrent = 0): UpstreamEntry {
  const targets = [{ id: uuid(target), address: '127.0.0.1', port: 80 }];
  return { id: uuid(0), generation, targets, routes: [], edge: EdgeSettings.parse({ maxConcurrent }) };
}

/** Two ends of a pipe that carries JSON and delivers it one turn later. */
function pipe(): { ours: Channel; theirs: Channel; cut: () => void } {
  const ends = [new EventEmitter(), new EventEmitter()] as const;
  let open = true;
  const end = (own: EventEmitter, other: EventEmitter): Channel => ({
    send: (message) => {
      const text = JSON.stringify(message);
      setImmediate(() => open && other.emit('message', JSON.parse(text)));
    },
    onMessage: (listener) => void own.on('message', listener),
    onClose: (listener) => void own.on('close', listener),
    close: () => cut(),
  });
  const cut = (): void => {
    open = false;
    for (const one of ends) one.emit('close');
  };
  return { ours: end(ends[0], ends[1]), theirs: end(ends[1], ends[0]), cut };
}

/** A plane behind a pipe, like a worker's. */
function remotePlane(families: readonly Family[] = []) {
  const plane = new Plane(
    clock,
    { upstream: () => ({ ended: () => undefined }), unrouted: () => undefined, forget: () => undefined },
    () => [],
  );
  const { ours, theirs, cut } = pipe();
  servePlanes(
    theirs,
    localPlanes({ plane, rates: new ClientRates(), clock, snapshot: () => ({ families }), terminator: null }),
  );
  const hangs: string[] = [];
  const remote = new RemotePlanes(ours, (call) => hangs.push(call));
  return { plane, remote, cut, hangs };
}

function exchange(): InFlight {
  return { stream: null, cut: () => undefined, dismiss: () => undefined };
}

/** @returns how many requests the plane takes at once, in addition to those in flight */
function claimAll({ plane }: { readonly plane: Plane }): number {
  let count = 0;
  while (plane.upstreams()[0]?.claim(exchange())) count += 1;
  return count;
}

test('a plane that joins later gets entries and holds, with its part of the limits', async () => {
  const group = new PlaneGroup(2, log);
  const [first, second] = [remotePlane(), remotePlane()];
  group.join(first.remote);
  await group.put(entry(1, 1, 7));
  const hold = HoldRequest.parse({ upstreamId: uuid(0), maxRequests: 10, maxBytes: 100 });
  assert.deepEqual(await group.hold(hold), { held: 0, changed: true });
  group.join(second.remote);
  await group.counts();
  for (const { plane } of [first, second]) {
    const [upstream] = plane.upstreams();
    assert.deepEqual(upstream?.holding, { maxRequests: 5, maxBytes: 50, maxMs: 30_000 });
  }
  await group.put(entry(2, 2, 7));
  assert.equal((await group.counts())[0]?.held, null);
  assert.deepEqual([first, second].map(claimAll), [4, 3]);
  const third = remotePlane();
  group.join(third.remote);
  await group.counts();
  assert.equal(third.plane.upstreams()[0]?.holding, null, 'a flip ends a hold for those who join later too');
});

test('a limit that is set or changed is split over the planes', async () => {
  const group = new PlaneGroup(2, log);
  const planes = [remotePlane(), remotePlane()];
  for (const { remote } of planes) group.join(remote);
  await group.put(entry(1, 1, 3));
  await group.counts();
  assert.deepEqual(planes.map(claimAll), [2, 1]);
  await group.amend(entry(1, 1, 6));
  await group.counts();
  assert.deepEqual(planes.map(claimAll), [1, 2], 'three each, of which three were in use');
});

test('flips, drains and receipts sum over all planes, and a dead plane has nothing in flight', async () => {
  const group = new PlaneGroup(1, log);
  const workers = [remotePlane(), remotePlane()];
  for (const { remote } of workers) group.join(remote);
  await group.put(entry(1, 1));
  const exchanges = workers.map(({ plane }) => {
    const [upstream] = plane.upstreams();
    const ended = exchange();
    upstream?.claim(ended)?.release(ended, 'served', 500);
    const open = exchange();
    const target = upstream?.claim(open);
    return () => target?.release(open, 'served', 200);
  });
  const previous = await group.put(entry(2, 2));
  assert.deepEqual(previous, { targetId: uuid(1), inFlight: 2, streams: 0, requests: { served: 2, failed: 0 } });
  let drained = false;
  const drain = group.drain({ ...DRAIN, targetId: uuid(1) }, null).finally(() => (drained = true));
  exchanges[0]?.();
  await group.counts();
  assert.equal(drained, false);
  const [counts] = await group.counts();
  assert.ok(counts);
  const receipt = makeReceipt({ generation: 2, flippedAt: new Date(0).toISOString(), previous }, uuid(2), counts);
  assert.deepEqual(
    { ...receipt.previous, firstRequestAt: null, lastRequestAt: null },
    {
      targetId: uuid(1),
      requests: { served: 3, failed: 0 },
      errors: 2,
      firstRequestAt: null,
      lastRequestAt: null,
      inFlightAtFlip: 2,
    },
  );
  workers[1]?.cut();
  assert.deepEqual((await drain).requests, { served: 2, failed: 0 });
  await assert.rejects(group.drain({ ...DRAIN, targetId: uuid(2) }, null), { code: 'ORK_CONFLICT' });
});

test('the counts of a plane stay when it leaves, without its exchanges in flight, and follow the role of the target', async () => {
  const group = new PlaneGroup(1, log);
  const workers = [remotePlane(), remotePlane()];
  for (const { remote } of workers) group.join(remote);
  await group.put(entry(1, 1));
  for (const { plane } of workers) {
    const [upstream] = plane.upstreams();
    const ended = exchange();
    upstream?.claim(ended)?.release(ended, 'served', 500);
    upstream?.claim(exchange());
    upstream?.countFailure();
  }
  const numbers = async () => {
    const [counts] = await group.counts();
    return counts?.targets.map(({ id, role, served, errors, inFlight }) => [id, role, served, errors, inFlight]);
  };
  assert.deepEqual(await numbers(), [[uuid(1), 'active', 2, 2, 2]]);
  const [first, second] = workers;
  first?.cut();
  if (first) group.leave(first.remote);
  assert.deepEqual(await numbers(), [[uuid(1), 'active', 2, 2, 1]]);
  await group.put(entry(2, 2));
  assert.deepEqual(await numbers(), [
    [uuid(2), 'active', 0, 0, 0],
    [uuid(1), 'retired', 2, 2, 1],
  ]);
  assert.deepEqual(
    (await group.counts()).map(({ failed, failedSinceFlip }) => [failed, failedSinceFlip]),
    [[2, 0]],
  );
  second?.cut();
  if (second) group.leave(second.remote);
  assert.deepEqual(await numbers(), [
    [uuid(2), 'active', 0, 0, 0],
    [uuid(1), 'retired', 2, 2, 0],
  ]);
  await group.remove(uuid(0));
  assert.deepEqual(await group.counts(), []);
});

test('counters of a plane that has left are still reported; its gauges are not', async () => {
  const group = new PlaneGroup(1, log);
  const [first, second] = [remotePlane(), remotePlane()];
  const snapshot = (value: number) => ({
    families: [
      counter('a_total', 'a', value),
      gauge('b', 'b', value),
      counter('c_total', 'c', [[{ upstream: uuid(0) }, value]]),
    ],
  });
  for (const [index, { remote }] of [first, second].entries()) {
    group.join(remote);
    group.hearLast(remote, { counts: [], metrics: [snapshot(index + 1)] });
    group.leave(remote);
  }
  assert.deepEqual(renderMetrics(await group.metrics()).match(/^[^#].*$/gm), [
    'a_total 3',
    `c_total{upstream="${uuid(0)}"} 3`,
  ]);
  await group.remove(uuid(0));
  assert.deepEqual(renderMetrics(await group.metrics()).match(/^[^#].*$/gm), ['a_total 3']);
});

test('a plane that leaves while another has yet to answer is counted once', async (t) => {
  for (const asked of ['counts', 'metrics'] as const) {
    const group = new PlaneGroup(1, log);
    const [first, second] = [remotePlane([counter('a_total', 'a', 1)]), remotePlane()];
    for (const { remote } of [first, second]) group.join(remote);
    await group.put(entry(1, 1));
    const ended = exchange();
    first.plane.upstreams()[0]?.claim(ended)?.release(ended, 'served', 200);
    const answer: () => Promise<unknown> = second.remote[asked].bind(second.remote);
    t.mock.method(second.remote, asked, async () => {
      const own = await answer();
      first.cut();
      group.leave(first.remote);
      return own;
    });
    if (asked === 'counts') assert.equal((await group.counts())[0]?.targets[0]?.served, 1);
    else assert.match(renderMetrics(await group.metrics()), /^a_total 1$/m);
  }
});

test('a plane that does not answer is reported, and its pending calls end with it', async (t) => {
  const { ours } = pipe();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const hangs: string[] = [];
  const remote = new RemotePlanes(ours, (call) => {
    hangs.push(call);
    ours.close();
  });
  const put = remote.put(entry(1, 1));
  t.mock.timers.tick(60_000);
  assert.deepEqual(hangs, [], 'after a sleep of the machine it has a second chance');
  t.mock.timers.tick(500);
  assert.deepEqual([hangs, await put], [['put'], null]);
  assert.deepEqual(await remote.counts(), []);
});

test('a drain of an upstream or target that has left the table leaves no metrics behind', async () => {
  const group = new PlaneGroup(1, log);
  const { plane, remote } = remotePlane();
  group.join(remote);
  await group.put(entry(1, 1));
  const figures = async (): Promise<boolean> => renderMetrics(await group.metrics()).includes(uuid(0));
  group.drained(uuid(0), await group.drain({ ...DRAIN, targetId: uuid(9) }, null));
  assert.equal(await figures(), false, 'nobody knows that target');
  await group.put(entry(2, 2));
  group.drained(uuid(0), await group.drain({ ...DRAIN, targetId: uuid(1) }, null));
  assert.equal(await figures(), true);
  plane.upstreams()[0]?.claim(exchange());
  await group.remove(uuid(0));
  assert.equal(await figures(), false);
  const late = await group.drain({ ...DRAIN, targetId: uuid(2), deadlineSeconds: 0.01 }, null);
  assert.deepEqual([late.known, late.forced], [true, 1]);
  group.drained(uuid(0), late);
  assert.equal(await figures(), false);
});

test('a watch gets tallies from all planes, even later ones, from its start; aborting a drain forces nothing', async () => {
  const group = new PlaneGroup(1, log);
  const [first, second] = [remotePlane(), remotePlane()];
  group.join(first.remote);
  await group.put(entry(1, 1));
  const fault = (plane: Plane): void => {
    const one = exchange();
    plane.upstreams()[0]?.claim(one)?.release(one, 'served', 500);
  };
  fault(first.plane);
  const tallies: Tally[] = [];
  const stop = group.watch(uuid(0), uuid(1), (tally) => tallies.push(tally));
  await group.counts();
  group.join(second.remote);
  await group.counts();
  fault(second.plane);
  const until = performance.now() + 5000;
  while (tallies.length < 3 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(
    tallies.map(({ answers, faults }) => [answers, faults]),
    [
      [1, 1],
      [0, 0],
      [1, 1],
    ],
  );
  stop();
  await group.counts();
  fault(first.plane);
  await group.counts();
  assert.equal(tallies.length, 3);
  const open = exchange();
  first.plane.upstreams()[0]?.claim(open);
  await group.put(entry(2, 2));
  const given = new AbortController();
  const drain = group.drain({ ...DRAIN, targetId: uuid(1) }, given.signal);
  await group.counts();
  given.abort();
  assert.equal((await drain).forced, 0);
});
