import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasFailed, type HostRollout, type HostState, isUnderWay, type Rollout } from '../model/rollout.ts';
import { advance, AWAY_MS, type SeenHost, STAYED_MS, UPGRADE_MS } from './advance.ts';

const NOW = 1_000_000_000;
const OLD: SeenHost = { agentVersion: '1.0.0', since: NOW - 1000 };
const NEW: SeenHost = { ...OLD, agentVersion: '2.0.0' };

const host = (hostId: string, state: HostState = 'waiting', turnAt: number | null = null): HostRollout => ({
  hostId,
  state,
  turnAt,
  error: null,
});
const rollout = (hosts: HostRollout[], change: Partial<Rollout> = {}): Rollout => ({
  version: '2.0.0',
  atOnce: 1,
  state: 'running',
  hosts,
  ...change,
});
const seen = (hosts: Record<string, SeenHost>): Map<string, SeenHost> => new Map(Object.entries(hosts));
const states = ({ hosts }: Rollout): string => hosts.map(({ state }) => state).join(' ');
const codeOf = ({ hosts }: Rollout): string | undefined => hosts.find(({ error }) => error !== null)?.error?.code;

test('the first host is ordered, and the next only when the first is healthy', () => {
  const here = seen({ a: OLD, b: OLD, c: OLD });
  const begun = advance(rollout([host('a'), host('b'), host('c')]), here, NOW);
  assert.equal(states(begun), 'ordered waiting waiting');
  assert.deepEqual(advance(begun, here, NOW), begun, 'Asked again it says the same.');
  const healthy = rollout([host('a', 'healthy', NOW), host('b'), host('c')]);
  assert.equal(states(advance(healthy, here, NOW)), 'healthy ordered waiting');
});

test('up to atOnce hosts are upgraded at the same time', () => {
  const here = seen({ a: OLD, b: OLD, c: OLD });
  const begun = advance(rollout([host('a'), host('b'), host('c')], { atOnce: 2 }), here, NOW);
  assert.equal(states(begun), 'ordered ordered waiting');
});

test('a failed or reverted host pauses the upgrade: hosts in progress continue, no other starts', () => {
  for (const bad of ['failed', 'reverted'] as const) {
    const now = advance(
      rollout([host('a', bad, NOW), host('b', 'trial', NOW), host('c')], { atOnce: 3 }),
      seen({ c: OLD }),
      NOW,
    );
    assert.deepEqual([now.state, states(now)], ['paused', `${bad} trial waiting`]);
  }
});

test('a host that already has the version is skipped as healthy', () => {
  const now = advance(rollout([host('a'), host('b')]), seen({ a: NEW, b: OLD }), NOW);
  assert.equal(states(now), 'healthy ordered');
});

test('an offline host keeps its turn for a while, and no host overtakes it', () => {
  const away = advance(rollout([host('a'), host('b')]), seen({ b: OLD }), NOW);
  assert.equal(states(away), 'waiting waiting');
  assert.equal(states(advance(away, seen({ a: OLD, b: OLD }), NOW + 1)), 'ordered waiting', 'It is back.');
  const still = advance(away, seen({ b: OLD }), NOW + AWAY_MS - 1);
  assert.equal(states(still), 'waiting waiting');
  const over = advance(away, seen({ b: OLD }), NOW + AWAY_MS);
  assert.deepEqual([over.state, states(over), codeOf(over)], ['paused', 'failed waiting', 'ORK_HOST_OFFLINE']);
});

test('a host that stays on the new version counts as healthy, even without a report', () => {
  const quiet = rollout([host('a', 'switching', NOW - 90_000)]);
  assert.equal(states(advance(quiet, seen({ a: { ...NEW, since: NOW - STAYED_MS + 1 } }), NOW)), 'switching');
  const stayed = advance(quiet, seen({ a: { ...NEW, since: NOW - STAYED_MS } }), NOW);
  assert.deepEqual([stayed.state, states(stayed)], ['done', 'healthy']);
  assert.equal(
    states(advance(quiet, seen({ a: { ...OLD, since: 0 } }), NOW)),
    'switching',
    'The old version proves nothing.',
  );
});

test('a host that does not finish in time fails, and the error names its last state', () => {
  const late = advance(rollout([host('a', 'fetching', NOW)]), seen({ a: OLD }), NOW + UPGRADE_MS);
  assert.deepEqual([late.state, codeOf(late)], ['paused', 'ORK_UPGRADE_TIMEOUT']);
  assert.match(late.hosts[0]?.error?.message ?? '', /within 20 minutes; its last known state: fetching/);
});

test('an upgrade is done when every host is healthy or skipped; a cancelled one stays cancelled', () => {
  const hosts = [host('a', 'healthy', NOW), host('b', 'skipped')];
  assert.equal(advance(rollout(hosts), seen({}), NOW).state, 'done');
  assert.equal(advance(rollout(hosts, { state: 'paused' }), seen({}), NOW).state, 'done');
  assert.equal(advance(rollout(hosts, { state: 'cancelled' }), seen({}), NOW).state, 'cancelled');
  const cancelled = advance(
    rollout([host('a', 'trial', NOW), host('b')], { state: 'cancelled' }),
    seen({ b: OLD }),
    NOW,
  );
  assert.equal(states(cancelled), 'trial waiting');
});

/** Reproducible random numbers in [0, 1) (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test('at most atOnce hosts are in progress, none starts after a failure, and every upgrade finishes', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = numbers(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    let now = NOW;
    let current = rollout(
      Array.from({ length: 1 + Math.floor(random() * 6) }, (_, index) => host(`h${index}`)),
      { atOnce: 1 + Math.floor(random() * 3) },
    );
    for (let turn = 0; turn < 400 && current.state !== 'done'; turn += 1) {
      const before = current;
      const here = new Map(
        before.hosts.flatMap(({ hostId }) => (random() < 0.8 ? [[hostId, pick([OLD, OLD, NEW])] as const] : [])),
      );
      // Sometimes a user resumes the upgrade, and hosts report their states.
      const resumed = before.state === 'paused' && random() < 0.2;
      const told = before.hosts.map((one): HostRollout => {
        if (resumed && hasFailed(one.state)) return host(one.hostId);
        if (!isUnderWay(one.state) || random() < 0.5) return one;
        return { ...one, state: pick(['fetching', 'trial', 'switching', 'healthy', 'healthy', 'reverted', 'failed']) };
      });
      now += pick([1000, 60_000, AWAY_MS]);
      current = advance({ ...before, state: resumed ? 'running' : before.state, hosts: told }, here, now);
      check(seed, told, current);
    }
    assert.equal(current.state, 'done', `seed ${seed}: ${states(current)}`);
  }
});

function check(seed: number, told: readonly HostRollout[], { hosts, state, atOnce }: Rollout): void {
  const begun = hosts.filter((one, index) => one.state === 'ordered' && told[index]?.state === 'waiting');
  const why = `seed ${seed}: ${state}, ${hosts.map((one) => one.state).join(' ')}`;
  assert.ok(hosts.filter((one) => isUnderWay(one.state)).length <= atOnce, why);
  if (told.some((one) => hasFailed(one.state))) assert.deepEqual(begun, [], why);
  if (hosts.some((one) => hasFailed(one.state))) assert.equal(state, 'paused', why);
  // Turns are taken in order: no host before one in progress still waits without a turn.
  const last = hosts.findLastIndex((one) => isUnderWay(one.state));
  assert.ok(
    hosts.slice(0, Math.max(last, 0)).every((one) => one.state !== 'waiting' || one.turnAt !== null),
    why,
  );
}
