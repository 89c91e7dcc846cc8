import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { text as bodyOf } from 'node:stream/consumers';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { temporaryFolder } from './test-folder.ts';
import { askHttp, callHttp } from './http-call.ts';
import type { HttpCall } from './http-call.ts';

const MAX_BYTES = 1000;

/** A call to a server with this listener. */
async function callTo(t: TestContext, listener: RequestListener): Promise<HttpCall> {
  const socketPath = join(temporaryFolder(t), 'server.sock');
  const server = createServer(listener).listen(socketPath);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { peer: { socketPath }, method: 'GET', path: '/', signal: AbortSignal.timeout(5000) };
}

test('a call sends the given request on a connection that closes after it', async (t) => {
  const seen: string[] = [];
  const call = await callTo(t, (request, response) => {
    const { method, url, headers } = request;
    const { connection, 'content-type': type = '-', 'content-length': length = '-' } = headers;
    void bodyOf(request).then((body) => {
      seen.push([method, url, connection, type, length, body].join(' '));
      response.writeHead(201).end('done');
    });
  });
  assert.deepEqual(await askHttp({ ...call, path: '/one?a=b' }, MAX_BYTES), { status: 201, text: 'done' });
  await askHttp({ ...call, method: 'POST', body: { name: 'ö' } }, MAX_BYTES);
  assert.deepEqual(seen, ['GET /one?a=b close - - ', 'POST / close application/json 13 {"name":"ö"}']);
});

test('an answer that is too large is refused, and its connection is closed', async (t) => {
  const closed = Promise.withResolvers<void>();
  const call = await callTo(t, ({ socket }, response) => {
    socket.once('close', () => closed.resolve());
    response.end('x'.repeat(MAX_BYTES + 1));
  });
  await assert.rejects(askHttp(call, MAX_BYTES), /more than 1000 bytes/);
  await closed.promise;
});

test('an answer that breaks off is an error, not a short answer', async (t) => {
  const call = await callTo(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy());
  });
  await assert.rejects(askHttp(call, MAX_BYTES), /aborted/);
});

test('an aborted call rejects with the reason, before the head of the answer and within its body', async (t) => {
  for (const begins of [false, true]) {
    const over = new AbortController();
    const call = await callTo(t, (_request, response) => {
      if (begins) response.writeHead(200).write('and so on');
      setTimeout(() => over.abort(new Error('no longer wanted')), 20);
    });
    await assert.rejects(askHttp({ ...call, signal: over.signal }, MAX_BYTES), /^Error: no longer wanted$/);
  }
});

test('the head of an answer is available before its body', async (t) => {
  const call = await callTo(t, (_request, response) => void response.writeHead(503).write('and so on'));
  const answer = await callHttp(call);
  answer.destroy();
  assert.equal(answer.statusCode, 503);
});
