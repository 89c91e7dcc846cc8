import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, test } from 'node:test';
import { Load } from './load.ts';
import type { LoadResult } from './load.ts';

let stop: () => Promise<void> = async () => undefined;
afterEach(() => stop());

async function loadOn(listener: RequestListener, count: number): Promise<LoadResult & { sockets: number }> {
  let sockets = 0;
  const server = createServer(listener).on('connection', () => (sockets += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const { port } = server.address() as AddressInfo;
  const load = new Load({
    proxyUrl: `http://127.0.0.1:${port}`,
    hostName: 'hello.localhost',
    versions: new Set(['1', '2']),
  });
  await load.reach(count);
  return { ...(await load.stop()), sockets };
}

/** Responds like the sample app. */
const sample =
  (version: string): RequestListener =>
  (request, response) => {
    assert.equal(request.headers.host, 'hello.localhost');
    response.setHeader('x-version', version);
    if (request.method === 'POST') request.pipe(response);
    else response.end('hello');
  };

test('correct answers of both versions are counted by version, over kept and fresh connections', async () => {
  let asked = 0;
  const result = await loadOn((request, response) => sample((asked += 1) > 40 ? '2' : '1')(request, response), 80);
  assert.equal(result.failed, 0, result.failures.join());
  assert.equal(result.served['1'], 40);
  assert.equal((result.served['1'] ?? 0) + (result.served['2'] ?? 0), result.requests);
  assert.ok(result.sockets > 8, 'some connections are fresh');
  assert.ok(result.sockets < result.requests, 'some are kept');
});

test('each kind of wrong answer is a failed request', async () => {
  const wrong: [RequestListener, RegExp][] = [
    [(_request, response) => response.writeHead(502).end('bad gateway'), /HTTP 502/],
    [sample('7'), /answered by version 7/],
    [(request) => request.socket.destroy(), /GET \/: /],
    [
      (_request, response) =>
        response
          .writeHead(200, { 'x-version': '1', 'content-length': '50' })
          .end('short', () => response.socket?.destroy()),
      /GET \/: /,
    ],
  ];
  for (const [listener, reason] of wrong) {
    const result = await loadOn(listener, 10);
    assert.equal(result.failed, result.requests);
    assert.match(result.failures[0] ?? '', reason);
    await stop();
  }
});

test('a body that comes back changed is a failed request', async () => {
  const result = await loadOn((request, response) => {
    response.setHeader('x-version', '1');
    request.resume().on('end', () => response.end('always this'));
  }, 60);
  assert.ok(result.failed > 0);
  assert.match(result.failures[0] ?? '', /POST \/echo: \d+ bytes came back as 11/);
});
