import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Taken } from './client-rates.ts';
import { ClientRates, Clients } from './client-rates.ts';
import { compilePolicy } from './compile.ts';
import { asked, deps, edge, field, ROUTE, StillClock } from './test-asked.ts';

/** A policy with a rate, and its answers to a client. */
function limited(ratePerClient: object, isShared = false) {
  const clock = new StillClock();
  const rates = new ClientRates(isShared);
  const settings = edge({ ratePerClient });
  const parts = deps({ clock, rates });
  const policy = compilePolicy(ROUTE, settings, parts);
  const ask = (clientAddress = '198.51.100.7') => policy?.judge(asked({ clientAddress })) ?? null;
  const passed = (count: number, address?: string): number =>
    Array.from({ length: count }, () => ask(address)).filter((answer) => answer === null).length;
  return { clock, rates, settings, parts, ask, passed };
}

test('a window of requests and its burst pass at once; then one per interval, and the rest get 429 with the wait', () => {
  const { clock, ask, passed } = limited({ requests: 10, perSeconds: 20, burst: 5 });
  assert.equal(passed(100), 15);
  const refused = ask();
  assert.deepEqual([refused?.status, refused?.code], [429, 'ORK_TOO_MANY_REQUESTS']);
  assert.equal(field(refused?.headers ?? [], 'retry-after'), '2');
  clock.ms += 1999;
  assert.equal(passed(5), 0);
  clock.ms += 1;
  assert.equal(passed(5), 1);
  clock.ms += 3_600_000;
  assert.equal(passed(100), 15);
});

test('clients are counted separately, but the addresses of one IPv6 network count as one client', () => {
  const { passed } = limited({ requests: 3 });
  assert.equal(passed(5, '192.0.2.1'), 3);
  assert.equal(passed(5, '192.0.2.2'), 3);
  assert.equal(passed(2, '2001:db8:1:2::1'), 2);
  assert.equal(passed(5, '2001:db8:1:2:ffff::9'), 1);
  assert.equal(passed(5, '2001:db8:1:3::1'), 3);
});

test('a flip keeps the counts, and all routes of one environment share them', () => {
  const { passed, settings, parts } = limited({ requests: 3 });
  assert.equal(passed(2), 2);
  const other = compilePolicy({ ...ROUTE, host: 'www.app.test' }, settings, parts);
  assert.equal(other?.judge(asked({ host: 'www.app.test' })), null);
  assert.equal(other?.judge(asked({ host: 'www.app.test' }))?.status, 429);
  parts.rates.forget(ROUTE.upstreamId);
  assert.equal(compilePolicy(ROUTE, settings, parts)?.judge(asked()), null);
});

test('a client has its whole rate at any worker, and what it takes at one worker counts at the others', () => {
  const [one, other] = [limited({ requests: 10 }, true), limited({ requests: 10 }, true)];
  const told = (): readonly Taken[] => one.rates.exchange([], one.clock.ms);
  assert.equal(one.passed(4), 4);
  other.rates.exchange(told(), other.clock.ms);
  assert.deepEqual(told(), [], 'told once');
  assert.equal(other.passed(100), 6);
  one.rates.exchange(other.rates.exchange([], 0), one.clock.ms);
  assert.equal(one.passed(100), 0);
  one.clock.ms += 300;
  assert.equal(one.passed(100), 3);
});

test('only the clients that took the most are shared, and counts of unknown environments are ignored', () => {
  const { rates, passed } = limited({ requests: 10 }, true);
  for (let index = 0; index < 2000; index += 1) passed(1, `10.0.${index >> 8}.${index & 255}`);
  passed(3, '192.0.2.1');
  const [taken] = rates.exchange([], 0);
  assert.equal(taken?.clients.length, 1000);
  assert.equal(taken.clients[0]?.[0], '192.0.2.1');
  assert.deepEqual(rates.exchange([{ upstreamId: 'elsewhere', clients: [['192.0.2.1', 5]] }], 0), []);
});

test('a loosened rate readmits clients that had used up the old one, and late counts use the new rate', () => {
  const { clock, rates, parts, passed } = limited({ requests: 100, perSeconds: 3600 }, true);
  assert.equal(passed(200), 100);
  const looser = edge({ ratePerClient: { requests: 20, burst: 40 } });
  const policy = compilePolicy(ROUTE, looser, parts);
  const ask = (): string | null => field(policy?.judge(asked())?.headers ?? [], 'retry-after') ?? null;
  assert.equal(ask(), '1');
  clock.ms += 60_000;
  assert.equal(ask(), null);
  // Requests counted elsewhere at the old rate, and reported only now, cost what the new rate makes of them.
  rates.exchange([{ upstreamId: ROUTE.upstreamId, clients: [[asked().clientAddress, 100]] }], clock.ms);
  assert.equal(ask(), '3');
});

test('over any time a client gets no more than its burst and its rate', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 400 }), (gaps, atOnce, intervalMs) => {
      const clients = new Clients();
      clients.keepTo({ intervalMs, atOnce }, 0);
      let now = 0;
      let passed = 0;
      for (const gap of gaps) {
        now += gap;
        const waitMs = clients.take('a', now);
        if (waitMs === 0) passed += 1;
        else assert.equal(clients.take('a', now + waitMs - 0.5) > 0, true);
        assert.ok(passed <= atOnce + now / intervalMs);
      }
      // Nothing is lost either: a client that waits for the stated time gets through.
      assert.equal(clients.take('a', now + clients.wait('a', now)), 0);
    }),
  );
});

test('memory is bounded, and a crowd of one-time clients cannot evict the count of a heavy one', () => {
  const clients = new Clients(100);
  clients.keepTo({ intervalMs: 1000, atOnce: 5 }, 0);
  for (let count = 0; count < 5; count += 1) clients.take('greedy', 0);
  for (let index = 0; index < 10_000; index += 1) clients.take(`crowd ${index}`, 1);
  assert.equal(clients.size, 100);
  assert.ok(clients.take('greedy', 1) > 0);
});
