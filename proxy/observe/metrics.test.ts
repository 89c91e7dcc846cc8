import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BUCKETS_MS } from './counters.ts';
import { Metrics } from './metrics.ts';
import { watchProcess } from './process-metrics.ts';
import { counter, gauge, labelText, renderMetrics } from './snapshot.ts';
import { ended } from './test-ended.ts';

const A = '0192f0c1-2d3e-7f00-8000-00000000000a';
const B = '0192f0c1-2d3e-7f00-8000-00000000000b';

/** The text as series → value. Throws on a line that violates the format. */
function series(text: string): Map<string, number> {
  const found = new Map<string, number>();
  assert.match(text, /\n$/);
  for (const line of text.slice(0, -1).split('\n')) {
    if (/^# (?:HELP|TYPE) [a-z_]+ .+$/.test(line)) continue;
    const label = String.raw`[a-z]+="(?:[^"\\\n]|\\[\\"n])*"`;
    const [, name, value] = new RegExp(String.raw`^([a-z_]+(?:\{${label}(?:,${label})*\})?) (\S+)$`).exec(line) ?? [];
    assert.ok(name !== undefined && !found.has(name), line);
    found.set(name, Number(value));
  }
  return found;
}
const shown = (...all: readonly Metrics[]): Map<string, number> =>
  series(renderMetrics(all.map((metrics) => metrics.snapshot())));

test('each request is counted once by upstream, status class and engine', () => {
  const metrics = new Metrics();
  const a = metrics.upstream(A);
  a.add(ended({ bytesIn: 5, bytesOut: 7 }));
  a.add(ended({ status: 404, bytesIn: 1, bytesOut: 2, engine: 'h2' }));
  a.add(ended({ status: 502, outcome: 'failed' }));
  a.add(ended({ status: 0, outcome: 'abandoned', engine: 'general' }));
  a.add(ended({ status: 429, targetId: null }));
  metrics.unrouted.add(ended({ status: 404, targetId: null }));
  const all = shown(metrics);
  const of = (name: string, more = ''): number | undefined => all.get(`orkestr_proxy_${name}{upstream="${A}"${more}}`);
  const classes = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'];
  assert.deepEqual(
    classes.map((status) => of('requests_total', `,status="${status}"`)),
    [1, 0, 1, 0, 2, 1],
  );
  assert.deepEqual([of('failed_total'), of('abandoned_total'), of('unclaimed_total')], [1, 1, 1]);
  assert.deepEqual([of('received_bytes_total'), of('sent_bytes_total')], [6, 9 + 3 * 1024]);
  assert.equal(of('request_seconds_count'), 5);
  assert.equal(all.get('orkestr_proxy_requests_total{upstream="unrouted",status="4xx"}'), 1);
  assert.equal(all.get('orkestr_proxy_engine_requests_total{engine="fast"}'), 4);
  assert.equal(all.get('orkestr_proxy_engine_requests_total{engine="h2"}'), 1);
});

test('a histogram counts cumulatively up to each bound, and +Inf has all', () => {
  const time = fc.oneof(fc.double({ min: 0, max: 20_000, noNaN: true }), fc.constantFrom(...BUCKETS_MS));
  fc.assert(
    fc.property(fc.array(time), (times) => {
      const metrics = new Metrics();
      for (const durationMs of times) metrics.upstream(A).add(ended({ durationMs, appMs: 0 }));
      const all = shown(metrics);
      if (times.length === 0) return;
      const name = 'orkestr_proxy_request_seconds';
      for (const bound of BUCKETS_MS) {
        const expected = times.filter((ms) => ms <= bound).length;
        assert.equal(all.get(`${name}_bucket{upstream="${A}",le="${bound / 1000}"}`), expected);
      }
      assert.equal(all.get(`${name}_bucket{upstream="${A}",le="+Inf"}`), times.length);
      assert.equal(all.get(`${name}_count{upstream="${A}"}`), times.length);
      const sum = times.reduce((total, ms) => total + ms, 0) / 1000;
      assert.ok(Math.abs((all.get(`${name}_sum{upstream="${A}"}`) ?? 0) - sum) < 1e-6 * (1 + sum));
      // No app responded.
      assert.equal(all.get(`orkestr_proxy_app_seconds_count{upstream="${A}"}`), 0);
    }),
    { numRuns: 50 },
  );
});

test('the metrics of several processes are merged after serialisation as JSON', () => {
  const [one, other] = [new Metrics(), new Metrics()];
  one.upstream(A).add(ended());
  other.upstream(A).add(ended());
  other.upstream(B).add(ended({ durationMs: 3 }));
  one.register(() => [gauge('late_seconds', 'x', 0.5, 'max'), gauge('open', 'x', 2)]);
  other.register(() => [gauge('late_seconds', 'x', 0.25, 'max'), gauge('open', 'x', 3)]);
  const snapshots = [one, other].map((metrics) => JSON.parse(JSON.stringify(metrics.snapshot())));
  const all = series(renderMetrics(snapshots));
  assert.equal(all.get(`orkestr_proxy_requests_total{upstream="${A}",status="2xx"}`), 2);
  assert.equal(all.get(`orkestr_proxy_requests_total{upstream="${B}",status="2xx"}`), 1);
  assert.equal(all.get(`orkestr_proxy_request_seconds_count{upstream="${A}"}`), 2);
  assert.deepEqual([all.get('late_seconds'), all.get('open')], [0.5, 5]);
});

test('the samples of a family are contiguous, with one HELP and one TYPE', () => {
  const [one, other] = [new Metrics(), new Metrics()];
  one.upstream(A).add(ended());
  other.upstream(B).add(ended());
  const text = renderMetrics([one.snapshot(), other.snapshot()]);
  const names = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => /^(?:# (?:HELP|TYPE) )?([a-z_]+)/.exec(line)?.[1]?.replace(/_(?:bucket|sum|count)$/, ''));
  const changes = names.filter((name, index) => name !== names[index - 1]);
  assert.equal(changes.length, new Set(changes).size);
  assert.equal(text.match(/^# TYPE orkestr_proxy_requests_total counter$/gm)?.length, 1);
  assert.equal(text.match(/^# TYPE orkestr_proxy_request_seconds histogram$/gm)?.length, 1);
});

test('label values cannot break a line', () => {
  assert.equal(labelText({ a: 'x"y\\z\nw', b: 1 }), 'a="x\\"y\\\\z\\nw",b="1"');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const family = counter('x_total', text.replace(/^$/, 'x'), [[{ label: text }, 1]]);
      const rendered = renderMetrics([{ families: [family] }]);
      assert.equal(rendered.split('\n').length, 4);
    }),
  );
});

test('a removed upstream is shown until its last exchange is reported, and only a limited number is kept', () => {
  const metrics = new Metrics();
  const name = `orkestr_proxy_requests_total{upstream="${A}",status="2xx"}`;
  const counters = metrics.upstream(A);
  counters.add(ended());
  metrics.forget(A);
  assert.equal(shown(metrics).get(name), 1);
  counters.add(ended());
  for (let scrapes = 0; scrapes < 2; scrapes += 1) assert.equal(shown(metrics).get(name), 2);
  assert.equal(shown(metrics).has(name), false);
  // Even without a scrape, upstreams that left long ago are dropped.
  for (let index = 0; index < 1000; index += 1) {
    metrics.upstream(`left-${index}`);
    metrics.forget(`left-${index}`);
  }
  const left = [...shown(metrics).keys()].filter((key) => key.startsWith('orkestr_proxy_failed_total{upstream="left'));
  assert.equal(left.length, 64);
});

test('an upstream that returns continues its counters', () => {
  const metrics = new Metrics();
  metrics.upstream(A).add(ended());
  metrics.forget(A);
  metrics.upstream(A).add(ended());
  for (let scrapes = 0; scrapes < 3; scrapes += 1) shown(metrics);
  assert.equal(shown(metrics).get(`orkestr_proxy_requests_total{upstream="${A}",status="2xx"}`), 2);
});

test('registered metrics are read at each scrape until they are unregistered', () => {
  const metrics = new Metrics();
  let open = 1;
  const off = metrics.register(() => [gauge('pool_open', 'Open connections.', [[{ upstream: A }, open]])]);
  assert.equal(shown(metrics).get(`pool_open{upstream="${A}"}`), 1);
  open = 4;
  assert.equal(shown(metrics).get(`pool_open{upstream="${A}"}`), 4);
  off();
  assert.equal(shown(metrics).has(`pool_open{upstream="${A}"}`), false);
});

test('a process reports its memory, CPU time and event loop delay', () => {
  const watch = watchProcess();
  const all = series(renderMetrics([{ families: watch.collect() }]));
  watch.close();
  assert.ok((all.get('process_resident_memory_bytes') ?? 0) > 1e6);
  assert.ok((all.get('process_cpu_seconds_total') ?? 0) > 0);
  assert.ok((all.get('process_start_time_seconds') ?? 0) > 1.6e9);
  for (const quantile of ['0.5', '0.99', '1'])
    assert.ok((all.get(`orkestr_proxy_event_loop_delay_seconds{quantile="${quantile}"}`) ?? -1) >= 0);
});

test('the event loop delay covers the time since the last scrape, and is measured only after the first one', async () => {
  const watch = watchProcess();
  const worst = (): number | undefined =>
    series(renderMetrics([{ families: watch.collect() }])).get('orkestr_proxy_event_loop_delay_seconds{quantile="1"}');
  const stall = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 250));
    for (const end = performance.now() + 300; performance.now() < end;);
    await new Promise((resolve) => setTimeout(resolve, 150));
  };
  await stall();
  assert.equal(worst(), 0, 'nobody has asked yet');
  await stall();
  assert.ok((worst() ?? 0) > 0.05);
  watch.close();
});
