import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read } from './load/h2load.ts';
import { percentile } from './load/percentile.ts';
import { pickCpus } from './lab.ts';
import { median } from './median.ts';
import { readOptions } from './options.ts';
import { barsOf, tables } from './report.ts';

const get1k = { ours: 24, general: 140, nginx: 20, haproxy: 25, caddy: 96 };

test('a case is compared with the better of nginx and haproxy, and with Caddy', () => {
  const bars = barsOf({ cases: { get1k }, latency2000rps: {}, rssMB: 61, idleBytesPerConnection: null });
  assert.deepEqual(bars, [
    { name: 'get1k / better of nginx, haproxy', found: 1.2, most: 1.15 },
    { name: 'get1k / caddy', found: 0.25, most: 0.3 },
    { name: 'resident at rest, MB', found: 61, most: 60 },
  ]);
});

test('a missing figure is not compared', () => {
  const cases = { tls1k: { ...get1k, ours: null }, get64k: { ours: 50, nginx: null, haproxy: null, caddy: null } };
  assert.deepEqual(barsOf({ cases, latency2000rps: {}, rssMB: null, idleBytesPerConnection: null }), []);
});

test('the table shows which bars are met', () => {
  const latency2000rps = { ours: { p50: 0.3, p99: 1.25 } };
  const memory = { ours: { rssMB: 52.5, idleBytesPerConnection: 6001 } };
  const figures = { cases: { get1k }, latency2000rps, rssMB: 52.5, idleBytesPerConnection: 6001 };
  const text = tables(figures, memory, ['ours', 'nginx', 'haproxy', 'caddy']);
  assert.match(text, /^\| get1k \| 24\.0 \| 20\.0 \| 25\.0 \| 96\.0 \|$/m);
  assert.match(text, /^\| p99 at 2,000 rps, ms \| 1\.25 \| - \| - \| - \|$/m);
  assert.match(text, /^\| get1k \/ better of nginx, haproxy \| 1\.20 \| <= 1\.15 \| \*\*not met\*\* \|$/m);
  assert.match(text, /^\| get1k \/ caddy \| 0\.25 \| <= 0\.3 \| met \|$/m);
  assert.match(text, /^\| bytes per idle connection \| 6001 \| <= 8192 \| met \|$/m);
});

test('medians and percentiles match their definitions', () => {
  assert.equal(median([]), null);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  const values = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.deepEqual([percentile(values, 0.5), percentile(values, 0.99), percentile([7], 0.5)], [50, 99, 7]);
});

const H2LOAD = `finished in 1.00s, 50.00 req/s, 55.00KB/s
Application protocol: h2
requests: 60 total, 60 started, 50 done, 50 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 50 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 55.00KB (56320) total, 1.00KB (1024) headers (space savings 90.00%), 50.00KB (51200) data
`;

test('an h2load run counts only if all its responses were HTTP/2, successful and complete', () => {
  const answer = { answerBytes: 1024 };
  assert.equal(read(H2LOAD, answer), 50);
  const broken: [string, string][] = [
    ['0 failed', '1 failed'],
    ['0 errored', '3 errored'],
    ['0 timeout', '1 timeout'],
    ['50 2xx, 0 3xx', '0 2xx, 50 3xx'],
    ['0 5xx', '2 5xx'],
    ['(51200) data', '(51199) data'],
    ['protocol: h2', 'protocol: http/1.1'],
    ['50 done, 50 succeeded', '0 done, 0 succeeded'],
    [H2LOAD, 'something else'],
  ];
  for (const [text, other] of broken) assert.throws(() => read(H2LOAD.replace(text, other), answer), /h2load/, other);
});

test('options are validated, and --quick selects a subset', () => {
  assert.equal(readOptions(['--help']), null);
  const all = readOptions([]);
  assert.deepEqual([all?.rounds, all?.cases.length, all?.extras.length, all?.proxies.length], [5, 8, 2, 5]);
  const quick = readOptions(['--quick', '--rounds', '7']);
  assert.deepEqual([quick?.rounds, quick?.seconds, quick?.cases, quick?.extras], [7, 2, ['get1k'], []]);
  const some = readOptions(['--cases', 'memory,tls1k', '--proxies', 'caddy,ours']);
  assert.deepEqual([some?.cases, some?.extras, some?.proxies], [['tls1k'], ['memory'], ['ours', 'caddy']]);
  assert.throws(() => readOptions(['--cases', 'get2k']), /no case get2k/);
  assert.throws(() => readOptions(['--proxies', 'apache']), /no proxy apache/);
  assert.throws(() => readOptions(['--rounds', '0']), /--rounds/);
  assert.throws(() => readOptions(['--seconds', '1.5']), /--seconds/);
});

test('proxy and load get one core each, among those that this process may use', () => {
  assert.deepEqual(pickCpus('Cpus_allowed:\tff\nCpus_allowed_list:\t0-7\n'), { proxy: 0, load: 1 });
  assert.deepEqual(pickCpus('Cpus_allowed_list:\t3,6-7\n'), { proxy: 3, load: 6 });
  assert.throws(() => pickCpus('Cpus_allowed_list:\t2\n'), /two cores/);
});
