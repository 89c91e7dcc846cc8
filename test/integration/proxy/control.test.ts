/** The admin calls over their socket, with visitors on the other side: hold, canary, watch, the way back, receipts. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { CertificateList, FlipReceipt, TableView } from '../../../protocol/proxy-admin.ts';
import type { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import {
  answering,
  entryFor,
  eventually,
  OK,
  planeOf,
  scriptedUpstream,
  startEdge,
  temporaryFolder,
  testBoth,
  uuid,
  viewOf,
} from './harness.ts';
import type { Edge } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';
const BAD = 'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad';
const OLD = OK.replace('ok', 'od');

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
}

function call(edge: Edge, method: string, path: string, body?: object, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({ socketPath: edge.adminSocket, method, path, agent: false, signal }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => (text += part));
      res.on('error', reject);
      res.on('end', () => {
        const isJson = String(res.headers['content-type']).includes('json');
        const body = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
        resolve({ status: res.statusCode ?? 0, text, body });
      });
    });
    req.on('error', reject);
    req.end(body && JSON.stringify(body));
  });
}

async function flip(edge: Edge, generation: number, port: number, changes: Partial<UpstreamEntry> = {}) {
  const targets = [{ id: uuid(1000 + generation), address: '127.0.0.1', port }];
  const entry = entryFor(port, { generation, targets, ...changes });
  const answer = await call(edge, 'POST', '/v1/flip', { entry, expectedGeneration: generation - 1 });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

const flipBack = (edge: Edge, generation: number, targetNumber: number) =>
  call(edge, 'POST', '/v1/flip-back', {
    upstreamId: uuid(1),
    expectedGeneration: generation,
    targetId: uuid(targetNumber),
  });

async function receiptOf(edge: Edge): Promise<FlipReceipt> {
  return FlipReceipt.parse((await call(edge, 'GET', `/v1/upstreams/${uuid(1)}/receipt`)).body);
}

testBoth(
  'requests that meet a hold wait unanswered, go on at the flip in their order, and are in its receipt',
  async (t) => {
    const edge = await startEdge(t);
    const [old, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
    await flip(edge, 1, old.port);
    assert.deepEqual((await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1) })).body, { held: 0, changed: true });
    const clients = [];
    for (let index = 0; index < 5; index += 1) {
      clients.push(await edge.send(GET.replace('GET /', `GET /${index}`)));
      await eventually('its wait', () => viewOf(edge)?.held === index + 1);
    }
    const post = await edge.send('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nbody');
    await eventually('its wait', () => viewOf(edge)?.held === 6);
    await old.close();
    assert.equal((await flip(edge, 2, young.port)).changed, true);
    for (const client of [...clients, post]) await client.sees(/^HTTP\/1.1 200 .*ok$/s);
    const heads = young.wires.map((wire) => wire.received).join('');
    const order = [...heads.matchAll(/GET \/(\d)/g)].map(([, digit]) => digit);
    assert.deepEqual(order, ['0', '1', '2', '3', '4']);
    assert.match(heads, /POST \/ .*body/s);
    const { held, failed } = await receiptOf(edge);
    assert.equal(failed, 0);
    assert.deepEqual({ requests: held?.requests, refused: held?.refused }, { requests: 6, refused: 0 });
    assert.ok(held && held.p50Ms > 0 && held.maxMs >= held.p50Ms);
  },
);

testBoth(
  'past the bounds of a hold there is 503 with Retry-After, a client that leaves makes room, and resume lets go',
  async (t) => {
    const edge = await startEdge(t);
    const app = await scriptedUpstream(t, answering(OK));
    await flip(edge, 1, app.port);
    await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1), maxRequests: 1, maxSeconds: 30 });
    const first = await edge.send(GET);
    await eventually('its wait', () => viewOf(edge)?.held === 1);
    await (await edge.send(GET)).sees(/^HTTP\/1.1 503 .*Retry-After: \d+.*ORK_APP_UNAVAILABLE/s);
    first.socket.destroy();
    await eventually('its leaving', () => viewOf(edge)?.held === 0);
    const second = await edge.send(GET);
    await eventually('its wait', () => viewOf(edge)?.held === 1);
    assert.equal(app.wires.length, 0);
    assert.deepEqual((await call(edge, 'POST', '/v1/resume', { upstreamId: uuid(1) })).body, {
      held: 1,
      changed: true,
    });
    await second.sees(/ok$/);
    await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1), maxSeconds: 0.1 });
    await (await edge.send(GET)).sees(/^HTTP\/1.1 503 .*Retry-After/s);
    assert.equal((await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(9) })).body.code, 'ORK_NOT_FOUND');
  },
);

test('the body of a request that is held is not read on, however long it is', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t);
  await flip(edge, 1, app.port);
  await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1) });
  const size = 64 * 1024 * 1024;
  const client = await edge.send(`POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${size}\r\n\r\n`);
  client.socket.write(Buffer.alloc(size));
  await eventually('its wait', () => viewOf(edge)?.held === 1);
  await eventually('a full pipe', () => client.socket.writableNeedDrain);
  const sent = client.socket.bytesWritten - client.socket.writableLength;
  assert.ok(sent < size / 4, `${sent} bytes went out`);
  client.socket.destroy();
});

testBoth('a canary by cookie and by weight takes its share, is shown, ends, and survives a restart', async (t) => {
  const edge = await startEdge(t);
  const [stable, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
  await flip(edge, 1, stable.port);
  const targets = [{ id: uuid(2000), address: '127.0.0.1', port: young.port }];
  const set = (canary: object | null, expectedGeneration = 1) =>
    call(edge, 'POST', '/v1/canary', { upstreamId: uuid(1), expectedGeneration, canary });
  const preview = { targets, weightPercent: 0, cookie: 'preview=yes' };
  assert.equal((await set(preview)).body.changed, true);
  assert.equal((await set(preview)).body.changed, false);
  assert.equal((await set(preview, 2)).body.code, 'ORK_GENERATION_STALE');
  await (await edge.send(GET)).sees(/od$/);
  await (await edge.send(GET.replace('\r\n\r\n', '\r\nCookie: a=b; preview=yes\r\n\r\n'))).sees(/ok$/);
  const view = TableView.parse((await call(edge, 'GET', '/v1/table')).body).upstreams[0];
  assert.deepEqual(view?.canary, { targetId: uuid(2000), weightPercent: 0, cookie: 'preview=yes' });
  assert.deepEqual(
    view?.targets.map(({ id, state, requests }) => [id, state, requests.served]),
    [
      [uuid(1001), 'healthy', 1],
      [uuid(2000), 'healthy', 1],
    ],
  );
  await set({ targets, weightPercent: 100 });
  await (await edge.send(GET)).sees(/ok$/);
  await edge.proxy.close();
  const again = await startEdge(t, { folder: edge.folder });
  await (await again.send(GET)).sees(/ok$/);
  assert.equal(
    (await call(again, 'POST', '/v1/canary', { upstreamId: uuid(1), expectedGeneration: 1, canary: null })).status,
    200,
  );
  await (await again.send(GET)).sees(/od$/);
  assert.equal(viewOf(again)?.canary, null);
});

test('a flip that names no canary ends it', async (t) => {
  const edge = await startEdge(t);
  const [stable, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
  const targets = [{ id: uuid(2000), address: '127.0.0.1', port: young.port }];
  await flip(edge, 1, stable.port, { canary: { targets, weightPercent: 100 } });
  await (await edge.send(GET)).sees(/ok$/);
  await flip(edge, 2, stable.port);
  await (await edge.send(GET)).sees(/od$/);
});

testBoth('a new target that answers errors is told of at once, and one call leads back to the old one', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(BAD))];
  await flip(edge, 1, old.port);
  await (await edge.send(GET)).sees(/od$/);
  await flip(edge, 2, young.port);
  const watch = call(edge, 'POST', '/v1/watch', {
    upstreamId: uuid(1),
    targetId: uuid(1002),
    seconds: 600,
    minRequests: 5,
  });
  for (let sent = 0; sent < 5; sent += 1) await (await edge.send(GET)).sees(/bad$/);
  assert.deepEqual((await watch).body, {
    verdict: 'errors',
    reason: '5 of its 5 answers (100.0 %) were errors, 0.0 % of those of the target before it.',
  });
  const back = await flipBack(edge, 2, 1001);
  assert.deepEqual([back.status, back.body.generation, back.body.changed], [200, 2, true]);
  await (await edge.send(GET)).sees(/od$/);
  assert.deepEqual((await flipBack(edge, 2, 1001)).body, { ...back.body, changed: false });
  assert.equal((await flipBack(edge, 2, 1002)).body.code, 'ORK_CONFLICT');
  assert.equal((await flipBack(edge, 1, 1001)).body.code, 'ORK_GENERATION_STALE');
  const stale = {
    entry: entryFor(young.port, {
      generation: 2,
      targets: [{ id: uuid(1002), address: '127.0.0.1', port: young.port }],
    }),
    expectedGeneration: 1,
  };
  assert.equal((await call(edge, 'POST', '/v1/flip', stale)).body.code, 'ORK_GENERATION_STALE');
  const receipt = await receiptOf(edge);
  assert.deepEqual(
    [receipt.previous?.targetId, receipt.previous?.errors, receipt.current.targetId],
    [uuid(1002), 5, uuid(1001)],
  );
  await edge.proxy.close();
  const again = await startEdge(t, { folder: edge.folder });
  await (await again.send(GET)).sees(/od$/);
  assert.equal(viewOf(again)?.generation, 2);
  assert.equal((await flipBack(again, 2, 1002)).body.code, 'ORK_CONFLICT', 'what was before a restart is not known');
});

testBoth('a new target that dies is told of at once; a good one when the window is over', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
  await flip(edge, 1, old.port);
  await flip(edge, 2, young.port);
  const window = { upstreamId: uuid(1), targetId: uuid(1002), seconds: 600 };
  const good = call(edge, 'POST', '/v1/watch', { ...window, seconds: 0.2 });
  await (await edge.send(GET)).sees(/ok$/);
  assert.equal((await good).body.verdict, 'good');
  const watch = call(edge, 'POST', '/v1/watch', window);
  await young.close();
  for (let sent = 0; sent < 4; sent += 1) await (await edge.send(GET)).sees(/^HTTP\/1.1 502 /);
  assert.equal((await watch).body.verdict, 'refuses');
  const other = call(edge, 'POST', '/v1/watch', { ...window, refusals: 1000 });
  assert.equal((await call(edge, 'POST', '/v1/watch', { ...window, targetId: uuid(1001) })).body.verdict, 'replaced');
  await flip(edge, 3, old.port);
  assert.equal((await other).body.verdict, 'replaced');
});

test('a watch or drain whose caller leaves is given up', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t)];
  await flip(edge, 1, old.port);
  const client = await edge.send(GET);
  const wire = await old.wire(0);
  await wire.sees('\r\n\r\n');
  await flip(edge, 2, young.port);
  const leave = new AbortController();
  const calls = [
    call(edge, 'POST', '/v1/watch', { upstreamId: uuid(1), targetId: uuid(1002), seconds: 600 }, leave.signal),
    call(edge, 'POST', '/v1/drain', { upstreamId: uuid(1), targetId: uuid(1001), deadlineSeconds: 1 }, leave.signal),
  ];
  const left = Promise.allSettled(calls);
  await new Promise((resolve) => setTimeout(resolve, 50));
  leave.abort();
  await left;
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal(
    planeOf(edge.proxy)
      .counts(uuid(1))[0]
      ?.targets.find(({ role }) => role === 'retired')?.inFlight,
    1,
  );
  wire.send(OLD);
  await client.sees(/od$/);
});

test('more requests at once than the edge settings allow are answered 503 until one ends', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t);
  await flip(edge, 1, app.port, { edge: { ...entryFor(1).edge, maxConcurrent: 1 } });
  const client = await edge.send(GET);
  const wire = await app.wire(0);
  await wire.sees('\r\n\r\n');
  await (await edge.send(GET)).sees(/^HTTP\/1.1 503 .*Retry-After/s);
  wire.send(OK);
  await client.sees(/ok$/);
  client.send(GET);
  await eventually(
    'the next request',
    () => app.wires.some(({ received }) => received.split('\r\n\r\n').length > 2) || app.wires.length > 1,
  );
});

/** As docs/observe.md has them. */
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
  test(`a proxy of ${workers} tells every metric, and a drain is counted once`, async (t) => {
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

test('no certificate is wanted for a host whose https is off', async (t) => {
  const edge = await startEdge(t, { certificates: await temporaryFolder(t) });
  const missing = async (): Promise<unknown> => {
    const { body } = await call(edge, 'GET', '/v1/certificates');
    return CertificateList.parse(body).missing.map(({ host }) => host);
  };
  await flip(edge, 1, 1);
  assert.deepEqual(await missing(), ['app.test']);
  await flip(edge, 2, 1, { edge: EdgeSettings.parse({ https: 'off' }) });
  assert.deepEqual(await missing(), []);
});

test('metrics and certificates are answered, and unknown calls are not', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t, answering(OK));
  await flip(edge, 1, app.port);
  await (await edge.send(GET)).sees(/ok$/);
  const metrics = await call(edge, 'GET', '/v1/metrics');
  assert.match(metrics.text, new RegExp(`orkestr_proxy_requests_total\\{upstream="${uuid(1)}",status="2xx"\\} 1`));
  assert.deepEqual((await call(edge, 'GET', '/v1/certificates')).body, { certificates: [], missing: [] });
  assert.equal((await call(edge, 'POST', '/v1/certificates/retry', { host: 'app.test' })).status, 404);
  assert.equal((await call(edge, 'POST', '/v1/certificates/retry', { host: '*.app.test' })).status, 400);
  for (const path of ['/v1/upstreams/x/receipt', `/v1/upstreams/${uuid(1)}/other`, '/v1/__proto__', '/constructor']) {
    assert.ok([400, 404].includes((await call(edge, 'GET', path)).status), path);
  }
  assert.equal((await call(edge, 'GET', `/v1/upstreams/${uuid(9)}/receipt`)).status, 404);
});

testBoth(
  'new settings meet the next request, on connections that are kept too; holds, receipt and what is in flight stay',
  async (t) => {
    const edge = await startEdge(t);
    const old = await scriptedUpstream(t);
    const young = await scriptedUpstream(t, answering(OK));
    await flip(edge, 1, old.port);
    const slow = await edge.send(GET.replace('GET /', 'GET /slow'));
    await eventually('its arrival', () => old.wires.length === 1);
    await flip(edge, 2, young.port);
    const kept = await edge.send(GET);
    await kept.sees(/ok$/);
    const { flippedAt, previous } = await receiptOf(edge);
    const entry = entryFor(young.port);
    const set = (maintenance: boolean, expectedGeneration = 2) =>
      call(edge, 'POST', '/v1/edge', {
        upstreamId: uuid(1),
        expectedGeneration,
        routes: [...entry.routes, { host: 'new.test', pathPrefix: '/' }],
        edge: { ...entry.edge, maintenance, appProtocol: 'h2c' },
      });
    assert.deepEqual((await set(true)).body, { changed: true });
    assert.deepEqual((await set(true)).body, { changed: false });
    assert.equal((await set(true, 1)).body.code, 'ORK_GENERATION_STALE');
    kept.socket.write(GET);
    await kept.sees(/ok.*HTTP\/1.1 503 /s);
    await (await edge.send(GET.replace('app.test', 'new.test'))).sees(/^HTTP\/1.1 503 /);
    const receipt = await receiptOf(edge);
    assert.equal(receipt.flippedAt, flippedAt);
    assert.equal(receipt.previous?.inFlightAtFlip, previous?.inFlightAtFlip);
    assert.equal(viewOf(edge)?.targets.find(({ state }) => state === 'draining')?.inFlight, 1);
    await set(false);
    await (await edge.send(GET)).sees(/ok$/);
    old.wires[0]?.send(OLD);
    await slow.sees(/od$/);
    await set(true);
    assert.equal((await flipBack(edge, 2, 1001)).status, 200);
    await (await edge.send(GET)).sees(/^HTTP\/1.1 503 /);
    await edge.proxy.close();
    const again = await startEdge(t, { folder: edge.folder });
    await (await again.send(GET)).sees(/^HTTP\/1.1 503 /);
  },
);
