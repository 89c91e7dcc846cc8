import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { isOnCanary } from './canary.ts';
import type { Visitor } from './canary.ts';
import type { InFlight } from './target.ts';
import { Upstream } from './upstream.ts';

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;
const visitor = (clientAddress: string, cookie?: string): Visitor => ({
  clientAddress,
  header: (name) => (name === 'cookie' ? cookie : undefined),
});
const ADDRESSES = Array.from({ length: 20_000 }, (_, index) => `10.${index >> 12}.${(index >> 6) & 63}.${index & 63}`);
const share = (weightPercent: number, salt: string): string[] =>
  ADDRESSES.filter((address) => isOnCanary({ weightPercent, cookie: null }, visitor(address), salt));

test('a fixed share of the clients is on the canary, and a higher weight only adds clients', () => {
  for (const weight of [0, 0.5, 10, 50, 100]) {
    const percent = (share(weight, 'a').length / ADDRESSES.length) * 100;
    assert.ok(Math.abs(percent - weight) < 1, `${percent} % of ${weight} %`);
  }
  const [ten, twenty] = [share(10, 'a'), new Set(share(20, 'a'))];
  assert.ok(ten.every((address) => twenty.has(address)));
});

test('two environments select different clients', () => {
  const both = new Set(share(50, 'a'));
  const shared = share(50, 'b').filter((address) => both.has(address)).length / ADDRESSES.length;
  assert.ok(Math.abs(shared - 0.25) < 0.02, `${shared} are on both`);
});

test('the addresses of one IPv6 subscriber are on the same side', () => {
  const sides = Array.from({ length: 50 }, (_, index) =>
    isOnCanary({ weightPercent: 50, cookie: null }, visitor(`2001:db8:1:2::${index.toString(16)}`), 'a'),
  );
  assert.equal(new Set(sides).size, 1);
});

test('the cookie alone selects the canary, and only as an exact pair', () => {
  const rule = { weightPercent: 0, cookie: 'preview=1' };
  const cases: [string | undefined, boolean][] = [
    ['preview=1', true],
    ['a=b; preview=1; c=d', true],
    ['a=b, preview=1', true],
    ['preview=12', false],
    ['xpreview=1', false],
    ['x=preview=1', false],
    [undefined, false],
  ];
  for (const [cookie, expected] of cases)
    assert.equal(isOnCanary(rule, visitor('10.0.0.1', cookie), 'a'), expected, cookie);
});

test('claims go to the canary until it ends; a flip to its target makes that the active one', async () => {
  const clock = { now: () => new Date(0), monotonic: () => 0 };
  const entry = (generation: number, target: number, weight?: number): UpstreamEntry => ({
    id: uuid(0),
    generation,
    targets: [{ id: uuid(target), address: '127.0.0.1', port: target }],
    canary:
      weight === undefined
        ? undefined
        : { targets: [{ id: uuid(7), address: '127.0.0.1', port: 7 }], weightPercent: weight },
    routes: [],
    edge: EdgeSettings.parse({}),
  });
  const exchange = (): InFlight => ({ stream: null, cut: () => undefined, dismiss: () => undefined });
  const upstream = new Upstream(entry(1, 1), clock);
  const claimed = (who: Visitor | null): string | undefined => upstream.claim(exchange(), null, who)?.id;
  assert.equal(claimed(visitor('10.0.0.1')), uuid(1));
  upstream.amend(entry(1, 1, 100));
  assert.deepEqual([claimed(visitor('10.0.0.1')), claimed(null)], [uuid(7), uuid(1)]);
  const plan = { deadlineMs: 0, streamDeadlineMs: 0, spreadMs: 0 };
  await assert.rejects(upstream.drain(uuid(7), plan), { code: 'ORK_CONFLICT' });
  assert.equal(upstream.apply(entry(2, 7))?.targetId, uuid(1));
  assert.deepEqual(
    upstream.counts().targets.map(({ id, role, inFlight }) => ({ id, role, inFlight })),
    [
      { id: uuid(7), role: 'active', inFlight: 1 },
      { id: uuid(1), role: 'retired', inFlight: 2 },
    ],
  );
});
