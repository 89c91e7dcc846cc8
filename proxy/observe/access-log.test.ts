import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { AccessLog } from './access-log.ts';
import { MAX_LINE_BYTES } from './log-sink.ts';
import type { Ended } from './observer.ts';
import { ended } from './test-ended.ts';

const CLOCK = { now: () => new Date('2026-11-23T07:00:00.005Z'), monotonic: () => 0 };
const UPSTREAM = '0192f0c1-2d3e-7f00-8000-0000000000ee';

/** The lines that these exchanges produce. */
function logged(share: number, exchanges: readonly Ended[], upstream: string | null = UPSTREAM): string[] {
  let text = '';
  const sink = { add: (line: string) => void (text += line) };
  const log = new AccessLog(share, CLOCK, sink);
  for (const exchange of exchanges) log.record(upstream, exchange);
  return text.split('\n').slice(0, -1);
}

const ALL = 1;

test('a line has client, request, outcome and duration, but no query', () => {
  const [line = ''] = logged(ALL, [ended()]);
  assert.deepEqual(JSON.parse(line), {
    level: 'info',
    time: '2026-11-23T07:00:00.005Z',
    service: 'proxy',
    id: '0192f0c1-2d3e-7f00-8000-00000000000a',
    client: '198.51.100.7',
    method: 'GET',
    scheme: 'https',
    host: 'app.test',
    path: '/items/7',
    http: '1.1',
    status: 200,
    outcome: 'served',
    upstream: UPSTREAM,
    target: '0192f0c1-2d3e-7f00-8000-000000000001',
    engine: 'fast',
    ms: 12.3,
    appMs: 10,
    bytesIn: 0,
    bytesOut: 1024,
    msg: 'request',
  });
  assert.ok(!line.includes('secret'));
});

test('only the path of a refused target is logged: no fragment, user or password', () => {
  const told = (target: string): string => JSON.parse(logged(ALL, [ended({ target, status: 400 })])[0] ?? '').path;
  assert.equal(told('/cb#access_token=hunter2'), '/cb');
  assert.equal(told('/cb#access_token=hunter2?a'), '/cb');
  assert.equal(told('http://user:hunter2@app.test/x/y?token=hunter2#hunter2'), '/x/y');
  assert.equal(told('http://user:hunter2@app.test'), '');
  assert.equal(told('http://user:hunter2#hunter2@app.test'), '');
  assert.equal(told('user:hunter2@app.test:443/x'), '');
  assert.equal(told('http:/user:hunter2@app.test/x'), '');
  assert.equal(told('*'), '*');
});

test('the timestamp follows the clock', () => {
  let ms = Date.parse('2026-11-23T07:00:00.999Z');
  const clock = { now: () => new Date(ms), monotonic: () => 0 };
  const lines: string[] = [];
  const log = new AccessLog(ALL, clock, { add: (line) => lines.push(line) });
  for (const step of [0, 1, 999, 86_400_000]) {
    ms += step;
    log.record(null, ended());
    assert.equal(JSON.parse(lines.at(-1) ?? '').time, new Date(ms).toISOString());
  }
});

test('an exchange without route and target logs null for both', () => {
  const [line = ''] = logged(ALL, [ended({ status: 404, targetId: null })], null);
  const { upstream, target, level } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual([upstream, target, level], [null, null, 'info']);
});

test('with a share of 0 only failures and answers of 500 and above are logged', () => {
  const exchanges = [
    ended(),
    ended({ status: 404 }),
    ended({ status: 0, outcome: 'abandoned' }),
    ended({ status: 200, outcome: 'failed' }),
    ended({ status: 503 }),
    ended({ status: 0, outcome: 'failed' }),
  ];
  const lines = logged(0, exchanges);
  assert.deepEqual(
    lines.map((line) => [JSON.parse(line).level, JSON.parse(line).status]),
    [
      ['warn', 200],
      ['warn', 503],
      ['warn', 0],
    ],
  );
});

test('a share samples every nth exchange, and says so; errors are not sampled', () => {
  const good = Array.from({ length: 1000 }, (_, index) => ended({ requestId: `n${index}` }));
  const lines = logged(0.01, [...good, ended({ status: 500 })]);
  const read = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(read.length, 11);
  assert.equal(read[0]?.['sample'], 0.01);
  assert.deepEqual([read[10]?.['status'], read[10]?.['sample']], [500, undefined]);
});

test('whatever clients send, each exchange is one line of valid ASCII JSON that preserves it', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
    fc.constantFrom(
      '\n{"level":"info"}',
      '"',
      '\\',
      '\u2028',
      '\x1b[2J',
      '\ud800',
      'x'.repeat(5000),
      '\x01'.repeat(5000),
    ),
  );
  const exchange = fc.record({
    method: hostile,
    host: hostile,
    target: hostile.map((text) => `/${text}`),
    clientAddress: hostile,
    requestId: hostile,
    durationMs: fc.double(),
    bytesOut: fc.oneof(fc.double(), fc.integer()),
  });
  fc.assert(
    fc.property(exchange, (some) => {
      const lines = logged(ALL, [ended(some)]);
      assert.equal(lines.length, 1);
      const [line = ''] = lines;
      assert.match(line, /^[\x20-\x7e]*$/);
      assert.ok(line.length < MAX_LINE_BYTES, `${line.length} bytes`);
      const read = JSON.parse(line) as Record<string, string>;
      for (const [name, text] of [
        ['host', some.host],
        ['path', some.target.split(/[?#]/, 1)[0] ?? ''],
        ['id', some.requestId],
      ] as const) {
        const said = read[name] ?? '';
        assert.ok(said === text || (said.endsWith('\u2026') && text.startsWith(said.slice(0, -1))), name);
        if (text.length < 20) assert.equal(said, text);
      }
    }),
  );
});
