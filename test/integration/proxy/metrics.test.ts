/** What the metrics report, for one process and for several. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, flip } from './admin-calls.ts';
import { answering, OK, scriptedUpstream, startEdge, temporaryFolder, uuid } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';

/** As listed in docs/observe.md. */
const METRICS = [
  'orkestr_proxy_abandoned_total',
  'orkestr_proxy_app_seconds',
  'orkestr_proxy_connections',
  'orkestr_proxy_connections_refused_total',
  'orkestr_proxy_drain_forced_total',
  'orkestr_proxy_drain_seconds_total',
  'orkestr_proxy_drain_streams_closed_total',
  'orkestr_proxy_drains_total',
  'orkestr_proxy_engine_requests_total',
  'orkestr_proxy_event_loop_delay_seconds',
  'orkestr_proxy_failed_total',
  'orkestr_proxy_held',
  'orkestr_proxy_in_flight',
  'orkestr_proxy_log_dropped_total',
  'orkestr_proxy_received_bytes_total',
  'orkestr_proxy_request_seconds',
  'orkestr_proxy_requests_total',
  'orkestr_proxy_sent_bytes_total',
  'orkestr_proxy_streams',
  'orkestr_proxy_suspended_targets',
  'orkestr_proxy_target_connections',
  'orkestr_proxy_tls_failed_total',
  'orkestr_proxy_tls_handshakes_total',
  'orkestr_proxy_unclaimed_total',
  'orkestr_proxy_uncaught_total',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
];

for (const workers of [1, 2]) {
  test(`a proxy with ${workers} worker(s) reports every metric, and counts a drain once`, async (t) => {
    const edge = await startEdge(t, { workers, certificates: await temporaryFolder(t) });
    const app = await scriptedUpstream(t, answering(OK));
    await flip(edge, 1, app.port);
    await (await edge.send(GET)).sees(/ok$/);
    await flip(edge, 2, app.port);
    const drain = { upstreamId: uuid(1), targetId: uuid(1001), deadlineSeconds: 1 };
    assert.equal((await call(edge, 'POST', '/v1/drain', drain)).status, 200);
    const { text } = await call(edge, 'GET', '/v1/metrics');
    assert.deepEqual(new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name)), new Set(METRICS));
    assert.match(text, new RegExp(`orkestr_proxy_drains_total\\{upstream="${uuid(1)}"\\} 1\n`));
    assert.match(text, /orkestr_proxy_connections [1-9]/);
    assert.match(text, new RegExp(`orkestr_proxy_in_flight\\{upstream="${uuid(1)}",role="active"\\} 0\n`));
  });
}
