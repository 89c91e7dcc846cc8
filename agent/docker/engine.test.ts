import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OrkestrError } from '../../protocol/errors.ts';
import { statusOf } from '../lib/engine.ts';
import { until } from '../../test/harness/until.ts';
import { makeEngine, older } from './engine.ts';

const code = (expected: string) => (error: unknown) => (error as OrkestrError).code === expected;

async function socketPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ork-engine-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 's');
}

async function listen(t: TestContext, server: Server): Promise<string> {
  const path = await socketPath(t);
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(path);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return path;
}

/** An engine that serves its version and passes all other requests to `answer`. */
const fakeEngine = (answer: RequestListener, version = '1.41'): HttpServer =>
  createHttpServer((request, response) => {
    if (request.url === '/version') response.end(JSON.stringify({ ApiVersion: version, MinAPIVersion: '1.12' }));
    else answer(request, response);
  });

test('a missing engine is unreachable', async (t) => {
  const engine = makeEngine({ socketPath: await socketPath(t) });
  await assert.rejects(
    engine.call('ask', (docker) => docker.ping()),
    code('ORK_ENGINE_UNREACHABLE'),
  );
});

test('an engine that accepts connections but never answers runs into the deadline', async (t) => {
  const engine = makeEngine({ socketPath: await listen(t, createServer()), timeoutMs: 50 });
  await assert.rejects(
    engine.call('ask', (docker) => docker.ping()),
    code('ORK_ENGINE_TIMEOUT'),
  );
});

test('the deadline also ends a call that hangs after the version check, and closes its connection', async (t) => {
  let closed: Promise<unknown> | undefined;
  const server = fakeEngine((request) => void (closed = once(request.socket, 'close')));
  const engine = makeEngine({ socketPath: await listen(t, server), timeoutMs: 10_000 });
  const call = engine.call('list', (docker, abortSignal) => docker.listContainers({ abortSignal }), { timeoutMs: 300 });
  await assert.rejects(call, code('ORK_ENGINE_TIMEOUT'));
  await closed;
});

test('a call that timed out during the version check is not made once the version arrives', async (t) => {
  const asked: string[] = [];
  let late: (() => void) | null = null;
  const server = createHttpServer((request, response) => {
    const tell = (): void => void response.end(JSON.stringify({ ApiVersion: '1.41', MinAPIVersion: '1.12' }));
    if (request.url !== '/version') {
      asked.push(`${request.method} ${request.url}`);
      response.end('[]');
    } else if (late === null) late = tell;
    else tell();
  });
  const engine = makeEngine({ socketPath: await listen(t, server), timeoutMs: 60_000 });
  const stop = engine.call('stop', (docker) => docker.getContainer('x').stop(), { timeoutMs: 100 });
  await assert.rejects(stop, code('ORK_ENGINE_TIMEOUT'));
  await until(() => late !== null);
  late!();
  await engine.call('list', (docker) => docker.listImages());
  assert.deepEqual(asked, ['GET /v1.41/images/json']);
});

test('an abort ends a call as cancelled', async (t) => {
  const engine = makeEngine({ socketPath: await listen(t, createServer()) });
  const stop = new AbortController();
  const call = engine.call('ask', (docker) => docker.ping(), { signal: stop.signal });
  stop.abort();
  await assert.rejects(call, code('ORK_CANCELLED'));
});

test('an engine that becomes reachable again is used again', async (t) => {
  const path = await socketPath(t);
  const engine = makeEngine({ socketPath: path });
  await assert.rejects(
    engine.call('ask', (docker) => docker.ping()),
    code('ORK_ENGINE_UNREACHABLE'),
  );
  const server = fakeEngine((_request, response) => response.end('[]')).listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  assert.deepEqual(await engine.call('list', (docker) => docker.listImages()), []);
  server.closeAllConnections();
});

test('the API version is the newest that both sides support', async (t) => {
  const urls: string[] = [];
  for (const version of ['1.43', '1.99']) {
    const server = fakeEngine((request, response) => {
      urls.push(request.url ?? '');
      response.end('[]');
    }, version);
    const engine = makeEngine({ socketPath: await listen(t, server) });
    await engine.call('list', (docker) => docker.listImages());
  }
  assert.match(urls[0] ?? '', /^\/v1\.43\//);
  assert.match(urls[1] ?? '', /^\/v1\.50\//);
});

test("after a change of the engine's API versions the call fails as retryable, and the version is negotiated again", async (t) => {
  let least = '1.12';
  const asked: string[] = [];
  const server = createHttpServer((request, response) => {
    if (request.url === '/version') return response.end(JSON.stringify({ ApiVersion: newest, MinAPIVersion: least }));
    const version = /^\/v([\d.]+)\//.exec(request.url ?? '')?.[1] ?? '';
    asked.push(version);
    if (!older(version, least)) return response.end('OK');
    // As Docker Engine words it.
    const message = `client version ${version} is too old. Minimum supported API version is ${least}, please upgrade your client to a newer version`;
    return response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
  });
  let newest = '1.41';
  const engine = makeEngine({ socketPath: await listen(t, server) });
  const ask = (): Promise<unknown> => engine.call('ask', (docker) => docker.info());
  await ask().catch(() => undefined);
  [least, newest] = ['1.44', '1.49'];
  await assert.rejects(ask(), code('ORK_ENGINE_UNREACHABLE'));
  await ask().catch(() => undefined);
  assert.deepEqual(asked, ['1.41', '1.41', '1.49']);
});

test('an engine that is too old is rejected with the required version', async (t) => {
  const engine = makeEngine({
    socketPath: await listen(
      t,
      fakeEngine(() => undefined, '1.24'),
    ),
  });
  await assert.rejects(
    engine.call('list', (docker) => docker.listImages()),
    (error: OrkestrError) => error.code === 'ORK_ENGINE_UNREACHABLE' && /1\.24.*1\.41/.test(error.message),
  );
});

test('a full disk has its own error, and other answers keep their status', async (t) => {
  const answers = [
    { status: 500, message: 'write /var/lib/x: no space left on device' },
    { status: 404, message: 'No such container: x' },
  ];
  const server = fakeEngine((_request, response) => {
    const { status, message } = answers.shift() as { status: number; message: string };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
  });
  const engine = makeEngine({ socketPath: await listen(t, server) });
  const inspect = (): Promise<unknown> => engine.call('inspect', (docker) => docker.getContainer('x').inspect());
  await assert.rejects(inspect(), code('ORK_DISK_FULL'));
  await assert.rejects(inspect(), (error) => statusOf(error) === 404);
});

test('API versions are compared as numbers', () => {
  const pairs = [
    ['1.9', '1.41', true],
    ['1.41', '1.9', false],
    ['1.41', '1.41', false],
    ['2.0', '1.99', false],
    ['1.99', '2.0', true],
  ] as const;
  for (const [a, b, is] of pairs) assert.equal(older(a, b), is, `${a} and ${b}`);
});
