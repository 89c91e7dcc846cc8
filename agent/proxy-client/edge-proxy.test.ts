import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text as bodyOf } from 'node:stream/consumers';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { OrkestrError, toProblem } from '../../protocol/errors.ts';
import { WatchRequest } from '../../protocol/proxy-admin.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { IDS } from '../deployment/test-job.ts';
import { makeProxyClient } from './edge-proxy.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** @param waitMs deadline: short where no response comes, else far longer than even a busy machine needs */
async function proxyThat(t: TestContext, answer: Answer, waitMs = 60_000) {
  const socketPath = join(temporaryFolder(t), 'proxy.sock');
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => answer(request, response, body));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return makeProxyClient(socketPath, { callMs: waitMs, marginMs: waitMs });
}

const SHORT_MS = 300;

const json = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

const DRAIN = { upstreamId: IDS.environment, targetId: IDS.host, streamDeadlineSeconds: 0, spreadSeconds: 0 };
const DRAINED = {
  known: true,
  ms: 1,
  forced: 0,
  streams: { carried: 0, ended: 0, closed: 0 },
  requests: { served: 1, failed: 0 },
};

const AT = '2026-01-01T00:00:00.000Z';
const FLIPPED = { generation: 2, flippedAt: AT, changed: true, previous: null };
const RECEIPT = {
  generation: 2,
  flippedAt: AT,
  previous: null,
  current: {
    targetId: IDS.host,
    requests: { served: 1, failed: 0 },
    errors: 0,
    firstRequestAt: AT,
    lastRequestAt: null,
  },
  drain: null,
  held: null,
  failed: 0,
};

const forever = new AbortController().signal;

const isCode = (code: string) => (error: unknown) => error instanceof OrkestrError && error.code === code;

test('each call sends the request that the admin API defines', async (t) => {
  const seen: string[] = [];
  const proxy = await proxyThat(t, ({ method, url }, response, body) => {
    seen.push(`${method} ${url} ${body}`);
    if (url === '/v1/table')
      return json(response, 200, { version: 1, startedAt: '2026-01-01T00:00:00.000Z', upstreams: [] });
    if (url === '/v1/drain') return json(response, 200, DRAINED);
    if (url === '/v1/flip-back') return json(response, 200, FLIPPED);
    if (url === '/v1/watch') return json(response, 200, { verdict: 'errors', reason: '9 of 10 answers' });
    if (url === '/v1/hold' || url === '/v1/resume') return json(response, 200, { held: 0, changed: true });
    if (url?.endsWith('/receipt') === true) return json(response, 200, RECEIPT);
    if (url === '/v1/certificates') return json(response, 200, { certificates: [], missing: [] });
    if (url === '/v1/certificates/retry') return json(response, 200, { changed: true });
    return json(response, 200, { removed: true, targetIds: [] });
  });
  assert.deepEqual((await proxy.table()).upstreams, []);
  assert.equal((await proxy.drain({ ...DRAIN, deadlineSeconds: 0 }, forever)).known, true);
  const back = { upstreamId: IDS.environment, expectedGeneration: 2, targetId: IDS.host };
  assert.deepEqual(await proxy.flipBack(back), FLIPPED);
  const watch = WatchRequest.parse({ upstreamId: IDS.environment, targetId: IDS.host, seconds: 3 });
  assert.equal((await proxy.watch(watch, forever)).verdict, 'errors');
  const hold = { upstreamId: IDS.environment, maxRequests: 10, maxBytes: 1000, maxSeconds: 30 };
  assert.equal((await proxy.hold(hold)).changed, true);
  assert.equal((await proxy.resume({ upstreamId: IDS.environment })).held, 0);
  assert.deepEqual(await proxy.receipt(IDS.environment), RECEIPT);
  assert.deepEqual((await proxy.certificates()).missing, []);
  assert.equal((await proxy.retryCertificate({ host: 'a.test' })).changed, true);
  assert.equal((await proxy.remove(IDS.environment)).removed, true);
  assert.deepEqual(seen, [
    'GET /v1/table ',
    `POST /v1/drain ${JSON.stringify({ ...DRAIN, deadlineSeconds: 0 })}`,
    `POST /v1/flip-back ${JSON.stringify(back)}`,
    `POST /v1/watch ${JSON.stringify(watch)}`,
    `POST /v1/hold ${JSON.stringify(hold)}`,
    `POST /v1/resume ${JSON.stringify({ upstreamId: IDS.environment })}`,
    `GET /v1/upstreams/${IDS.environment}/receipt `,
    'GET /v1/certificates ',
    'POST /v1/certificates/retry {"host":"a.test"}',
    `DELETE /v1/upstreams/${IDS.environment} `,
  ]);
});

test("the proxy's refusal keeps its code, message and evidence", async (t) => {
  const proxy = await proxyThat(t, (_request, response) =>
    json(response, 409, toProblem({ code: 'ORK_GENERATION_STALE', message: 'generation 9 serves', evidence: ['9'] })),
  );
  await assert.rejects(proxy.remove(IDS.environment), (error: OrkestrError) => {
    assert.deepEqual(
      [error.code, error.message, error.evidence],
      ['ORK_GENERATION_STALE', 'generation 9 serves', ['9']],
    );
    return true;
  });
});

test('a missing, silent or disconnecting proxy and one that sends nonsense are all unreachable', async (t) => {
  const missing = makeProxyClient(join(temporaryFolder(t), 'none.sock'));
  await assert.rejects(missing.table(), isCode('ORK_PROXY_UNREACHABLE'));
  const silent = await proxyThat(t, () => undefined, SHORT_MS);
  await assert.rejects(silent.table(), isCode('ORK_PROXY_UNREACHABLE'));
  const stalling = await proxyThat(t, (_request, response) => void response.writeHead(200).write('{'), SHORT_MS);
  await assert.rejects(stalling.table(), isCode('ORK_PROXY_UNREACHABLE'));
  const rude = await proxyThat(t, (request) => void request.socket.destroy());
  await assert.rejects(rude.table(), isCode('ORK_PROXY_UNREACHABLE'));
  const other = await proxyThat(t, (_request, response) => json(response, 200, { hello: 'world' }));
  await assert.rejects(other.table(), isCode('ORK_PROXY_UNREACHABLE'));
  const broken = await proxyThat(t, (_request, response) => void response.writeHead(500).end('<html>'));
  await assert.rejects(broken.table(), isCode('ORK_PROXY_UNREACHABLE'));
});

test('a drain may take its own deadline plus a margin, longer than other calls', async (t) => {
  const answer: Answer = (_request, response) => void setTimeout(() => json(response, 200, DRAINED), 2 * SHORT_MS);
  const proxy = await proxyThat(t, answer, SHORT_MS);
  assert.equal((await proxy.drain({ ...DRAIN, deadlineSeconds: 60 }, forever)).known, true);
  await assert.rejects(proxy.drain({ ...DRAIN, deadlineSeconds: 0 }, forever), isCode('ORK_PROXY_UNREACHABLE'));
});

test('an aborted wait for an answer ends at once', async (t) => {
  const over = new AbortController();
  const proxy = await proxyThat(t, () => over.abort());
  const watch = WatchRequest.parse({ upstreamId: IDS.environment, targetId: IDS.host, seconds: 3600 });
  await assert.rejects(proxy.watch(watch, over.signal), isCode('ORK_PROXY_UNREACHABLE'));
});
