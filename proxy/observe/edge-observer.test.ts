import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../clock.ts';
import { EdgeObserver } from './edge-observer.ts';
import { gauge } from './snapshot.ts';
import { ended } from './test-ended.ts';

const ID = '0192f0c1-2d3e-7f00-8000-0000000000ee';

test('each exchange is counted and logged, and registered metrics are included', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-observer-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'access.log');
  const fd = openSync(file, 'a');
  t.after(() => closeSync(fd));
  const observer = new EdgeObserver({ accessLog: { share: 1 }, accessLogFd: fd }, systemClock);
  const upstream = observer.upstream(ID);
  upstream.ended(ended());
  observer.upstream(ID).ended(ended({ status: 500 }));
  observer.unrouted(ended({ status: 404, targetId: null }));
  observer.register(() => [gauge('orkestr_proxy_connections', 'Open.', 3)]);
  const text = observer.metrics();
  for (const line of [
    `orkestr_proxy_requests_total{upstream="${ID}",status="2xx"} 1`,
    `orkestr_proxy_requests_total{upstream="${ID}",status="5xx"} 1`,
    'orkestr_proxy_requests_total{upstream="unrouted",status="4xx"} 1',
    'orkestr_proxy_connections 3',
    'orkestr_proxy_log_dropped_total 0',
  ])
    assert.ok(text.includes(`${line}\n`), line);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  await observer.close();
  writeSync(fd, '{"msg":"the descriptor is still open"}\n');
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    logged.map(({ upstream, status }) => [upstream, status]),
    [
      [ID, 200],
      [ID, 500],
      [null, 404],
      [undefined, undefined],
    ],
  );
});

test('without an access log nothing is written, and metrics still count', async () => {
  // There is no such descriptor, so touching it would fail.
  const observer = new EdgeObserver({ accessLog: 'off', accessLogFd: -1 }, systemClock);
  observer.upstream(ID).ended(ended({ status: 503, outcome: 'failed' }));
  assert.match(observer.metrics(), /orkestr_proxy_failed_total\{upstream="[^"]+"\} 1\n/);
  await observer.close();
});
