/** gRPC and other HTTP/2 apps behind the front, with @grpc/grpc-js as the real client and server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { EdgeSettings } from '../../../protocol/edge.ts';
import type { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import { FLAG, FRAME, FRAME_HEAD_BYTES, PREFACE } from '../../../proxy/h2/wire/codes.ts';
import { block, frame } from '../../../proxy/h2/wire/test-frames.ts';
import { ask, startHttp2Edge } from './h2-harness.ts';
import type { Http2Edge } from './h2-harness.ts';
import { entryFor, eventually, listen, uuid } from './harness.ts';

const text = { serialize: (value: string) => Buffer.from(value), deserialize: (bytes: Buffer) => bytes.toString() };
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
});
const ECHO = {
  unary: method('Unary', false, false),
  chat: method('Chat', true, true),
  fail: method('Fail', false, false),
} satisfies grpc.ServiceDefinition;

async function grpcApp(t: TestContext): Promise<{ port: number; cancelled: () => number }> {
  let cancelled = 0;
  const server = new grpc.Server();
  server.addService(ECHO, {
    unary: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => {
      const trailers = new grpc.Metadata();
      trailers.set('x-trailer', 'yes');
      done(null, `echo ${call.request} ${String(call.metadata.get('x-forwarded-proto')[0])}`, trailers);
    },
    chat: (call: grpc.ServerDuplexStream<string, string>) => {
      call.on('data', (message: string) => call.write(`echo ${message}`));
      call.on('end', () => call.end());
      call.on('cancelled', () => {
        cancelled += 1;
      });
    },
    fail: (_call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) =>
      done({ code: grpc.status.NOT_FOUND, details: 'no such thing' }),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  t.after(() => server.forceShutdown());
  return { port, cancelled: () => cancelled };
}

/** Deadlines are checked once a second. */
const LOOKED_AT_MS = 1500;

function h2cEntry(port: number, changes: Partial<UpstreamEntry> = {}): UpstreamEntry {
  return entryFor(port, { edge: EdgeSettings.parse({ appProtocol: 'h2c' }), ...changes });
}

function grpcClient(t: TestContext, edge: Http2Edge): grpc.Client {
  const client = new grpc.Client(`127.0.0.1:${edge.port}`, grpc.credentials.createSsl(Buffer.from(edge.cert)), {
    'grpc.ssl_target_name_override': 'app.test',
    'grpc.default_authority': 'app.test',
    'grpc.enable_retries': 0,
  });
  t.after(() => client.close());
  return client;
}

function unary(
  client: grpc.Client,
  { path }: { path: string },
  message: string,
): Promise<{ reply: string; trailers: grpc.Metadata }> {
  return new Promise((resolve, reject) => {
    let trailers = new grpc.Metadata();
    const call = client.makeUnaryRequest(path, text.serialize, text.deserialize, message, (error, reply) =>
      error ? reject(error) : resolve({ reply: reply ?? '', trailers }),
    );
    call.on('status', (status) => {
      trailers = status.metadata;
    });
  });
}

test('gRPC calls pass: unary, errors, and streams in both directions at once', async (t) => {
  const edge = await startHttp2Edge(t);
  const { port } = await grpcApp(t);
  edge.plane.put(h2cEntry(port));
  const client = grpcClient(t, edge);
  const { reply } = await unary(client, ECHO.unary, 'hello');
  assert.equal(reply, 'echo hello https');
  await assert.rejects(unary(client, ECHO.fail, 'x'), { code: grpc.status.NOT_FOUND, details: 'no such thing' });
  const chat = client.makeBidiStreamRequest(ECHO.chat.path, text.serialize, text.deserialize);
  for (const word of ['one', 'two', 'three']) {
    chat.write(word);
    const [message] = await once(chat, 'data');
    assert.equal(message, `echo ${word}`);
  }
  const status = once(chat, 'status');
  chat.end();
  const [{ code }] = await status;
  assert.equal(code, grpc.status.OK);
  await eventually('all are counted', () => edge.seen.length === 3);
  assert.ok(edge.seen.every(({ outcome }) => outcome === 'served'));
});

test('a message stream may be silent before its first message for longer than the response timeout', async (t) => {
  let aheadMs = 0;
  const edge = await startHttp2Edge(t, { aheadMs: () => aheadMs });
  const { port } = await grpcApp(t);
  edge.plane.put(h2cEntry(port, { edge: EdgeSettings.parse({ appProtocol: 'h2c', responseSeconds: 60 }) }));
  const chat = grpcClient(t, edge).makeBidiStreamRequest(ECHO.chat.path, text.serialize, text.deserialize);
  const route = edge.plane.routesOf('app.test')?.find('/');
  await eventually('it is under way', () => route?.upstream.counts().targets[0]?.inFlight === 1);
  aheadMs = 300_000;
  await delay(LOOKED_AT_MS);
  chat.write('one');
  assert.deepEqual(await once(chat, 'data'), ['echo one']);
  chat.end();
});

test('a call may be silent even in the general engine, because of a route setting or a hold', async (t) => {
  const edge = await startHttp2Edge(t);
  const { port } = await grpcApp(t);
  const quiet = async (settings: object, isHeld: boolean): Promise<void> => {
    const parsed = EdgeSettings.parse({ appProtocol: 'h2c', ...settings });
    edge.plane.put(h2cEntry(port, { edge: { ...parsed, responseSeconds: 0.1 } }));
    const upstream = edge.plane.routesOf('app.test')?.find('/')?.upstream;
    if (isHeld) upstream?.hold({ maxRequests: 10, maxBytes: 1_000_000, maxMs: 10_000 });
    const chat = grpcClient(t, edge).makeBidiStreamRequest(ECHO.chat.path, text.serialize, text.deserialize);
    if (isHeld) {
      await eventually('it waits', () => upstream?.counts().held === 1);
      upstream?.resume();
    }
    await eventually('it is under way', () => upstream?.counts().targets[0]?.inFlight === 1);
    const [first, status] = [once(chat, 'data'), once(chat, 'status')];
    await delay(400);
    chat.write('one');
    assert.deepEqual(await first, ['echo one']);
    chat.end();
    await status;
  };
  await quiet({ compression: true }, false);
  await quiet({}, true);
});

test('cancelling a call at the client cancels it at the app', async (t) => {
  const edge = await startHttp2Edge(t);
  const { port, cancelled } = await grpcApp(t);
  edge.plane.put(h2cEntry(port));
  const chat = grpcClient(t, edge).makeBidiStreamRequest(ECHO.chat.path, text.serialize, text.deserialize);
  chat.on('error', () => undefined);
  chat.write('one');
  await once(chat, 'data');
  chat.cancel();
  await eventually('the app hears of it', () => cancelled() === 1);
});

test('at the deadline of a drain a gRPC stream gets the status UNAVAILABLE, not a reset', async (t) => {
  const edge = await startHttp2Edge(t);
  const [old, young] = [await grpcApp(t), await grpcApp(t)];
  edge.plane.put(h2cEntry(old.port));
  const client = grpcClient(t, edge);
  const chat = client.makeBidiStreamRequest(ECHO.chat.path, text.serialize, text.deserialize);
  chat.on('error', () => undefined);
  chat.write('one');
  await once(chat, 'data');
  const next = [{ id: uuid(1002), address: '127.0.0.1', port: young.port }];
  edge.plane.put(h2cEntry(old.port, { generation: 2, targets: next }));
  const status = new Promise<grpc.StatusObject>((resolve) => chat.once('status', resolve));
  const drained = await edge.plane.drain({
    upstreamId: uuid(1),
    targetId: uuid(1001),
    deadlineSeconds: 0.01,
    streamDeadlineSeconds: 0.03,
    spreadSeconds: 0,
  });
  const { code, details } = await status;
  assert.equal(code, grpc.status.UNAVAILABLE);
  assert.match(details, /moves to a new version/);
  assert.deepEqual(drained.streams, { carried: 1, ended: 0, closed: 1 });
  assert.equal((await unary(client, ECHO.unary, 'again')).reply, 'echo again https');
});

test('requests reach an HTTP/2 app directly, and for a stripped prefix through the general engine', async (t) => {
  const edge = await startHttp2Edge(t);
  const sessions: ServerHttp2Session[] = [];
  const app = createHttp2Server();
  app.on('session', (session) => sessions.push(session));
  app.on('stream', (stream, headers) => {
    stream.respond(
      { ':status': 200, 'x-path': headers[':path'], 'x-for': headers['x-forwarded-for'] },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }));
    stream.pipe(stream);
  });
  const port = await listen(app);
  t.after(() => {
    for (const session of sessions) session.destroy();
    app.close();
  });
  edge.plane.put(
    h2cEntry(port, {
      routes: [
        { host: 'app.test', pathPrefix: '/x', stripPrefix: true },
        { host: 'app.test', pathPrefix: '/' },
      ],
    }),
  );
  const session = await edge.connect();
  for (const path of ['/x/y', '/direct']) {
    const answer = await ask(session, { ':path': path, ':method': 'POST' }, 'body');
    assert.deepEqual([answer.status, answer.text, answer.trailers['x-end']], [200, 'body', 'yes'], path);
    assert.equal(answer.headers['x-for'], '127.0.0.1');
  }
});

test('a request in flight keeps its time limit when a cutover retires its target', async (t) => {
  let aheadMs = 0;
  const edge = await startHttp2Edge(t, { aheadMs: () => aheadMs });
  const silent = createHttp2Server();
  const asked = once(silent, 'stream');
  const sessions: ServerHttp2Session[] = [];
  silent.on('session', (opened) => sessions.push(opened));
  const port = await listen(silent);
  t.after(() => {
    for (const opened of sessions) opened.destroy();
    silent.close();
  });
  edge.plane.put(h2cEntry(port));
  const answer = ask(await edge.connect(), { ':path': '/' });
  await asked;
  const next = [{ id: uuid(1002), address: '127.0.0.1', port: 1 }];
  edge.plane.put(h2cEntry(port, { generation: 2, targets: next }));
  aheadMs = 300_000;
  assert.equal((await answer).status, 504);
});

test('an HTTP/2 app that is down yields 502, and after a GOAWAY a new connection is used', async (t) => {
  const edge = await startHttp2Edge(t);
  let connections = 0;
  const sessions: ServerHttp2Session[] = [];
  const app = createHttp2Server();
  app.on('session', (session) => {
    connections += 1;
    sessions.push(session);
  });
  app.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  const port = await listen(app);
  t.after(() => {
    for (const session of sessions) session.destroy();
    app.close();
  });
  edge.plane.put(h2cEntry(port));
  const session = await edge.connect();
  assert.equal((await ask(session, {})).text, 'ok');
  sessions[0]?.close();
  for (let round = 0; round < 5; round += 1) assert.equal((await ask(session, {})).text, 'ok');
  assert.equal(connections, 2);
  for (const one of sessions) one.destroy();
  await new Promise((resolve) => app.close(resolve));
  assert.equal((await ask(session, {})).status, 502);
});

test('an upload that its client resets is reset at an HTTP/2 app, never completed', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = createHttp2Server();
  const ends: (string | number)[] = [];
  const sessions: ServerHttp2Session[] = [];
  app.on('session', (session) => sessions.push(session));
  app.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.on('data', () => undefined);
    stream.on('aborted', () => ends.push('aborted'));
    stream.on('close', () => ends.push(stream.rstCode));
  });
  const port = await listen(app);
  t.after(() => {
    for (const session of sessions) session.destroy();
    app.close();
  });
  edge.plane.put(h2cEntry(port));
  const session = await edge.connect();
  const stream = session.request({ ':authority': 'app.test', ':path': '/', ':method': 'POST' });
  stream.on('error', () => undefined);
  stream.write('part');
  await eventually('the request is there', () => sessions.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Sends CANCEL, without an end of the body.
  session.destroy();
  await eventually('the app hears of it', () => ends.length === 2);
  assert.deepEqual(ends, ['aborted', 8]);
});

test('a silent HTTP/2 app yields 504, and a body passes with back-pressure', async (t) => {
  const edge = await startHttp2Edge(t, { timeouts: { responseHeadMs: 150 } });
  const sessions: ServerHttp2Session[] = [];
  const app = createHttp2Server();
  app.on('session', (session) => sessions.push(session));
  app.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    if (headers[':path'] === '/silent') return;
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const port = await listen(app);
  t.after(() => {
    for (const session of sessions) session.destroy();
    app.close();
  });
  edge.plane.put(h2cEntry(port));
  const session = await edge.connect();
  assert.equal((await ask(session, { ':path': '/silent' })).status, 504);
  const size = 3_000_000;
  assert.equal((await ask(session, { ':method': 'POST' }, Buffer.alloc(size, 'x'))).text.length, size);
});

/** An app that speaks HTTP/2 frame by frame: it answers each request with these frames, all for stream `id`. */
async function framedApp(t: TestContext, answer: (id: number) => Buffer): Promise<number> {
  const server = createServer((socket) => {
    let rest = Buffer.alloc(0);
    let at = PREFACE.length;
    socket.write(frame(FRAME.settings, 0, 0));
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      for (; rest.length >= at + FRAME_HEAD_BYTES; at += FRAME_HEAD_BYTES + rest.readUIntBE(at, 3)) {
        if (rest[at + 3] === FRAME.headers) socket.write(answer(rest.readUInt32BE(at + 5)));
      }
    });
    t.after(() => socket.destroy());
  });
  t.after(() => server.close());
  return listen(server);
}

test('an HTTP/2 app may end a response to HEAD, or a 304, after its head, with the length of the body', async (t) => {
  const edge = await startHttp2Edge(t);
  for (const [method, status, coded] of [
    ['HEAD', 200, 0x88],
    ['GET', 304, 0x8b],
  ] as const) {
    const head = Buffer.concat([Buffer.from([coded]), block([['content-length', '5']])]);
    const port = await framedApp(t, (id) =>
      Buffer.concat([frame(FRAME.headers, FLAG.endHeaders, id, head), frame(FRAME.data, FLAG.endStream, id)]),
    );
    edge.plane.put(h2cEntry(port));
    const { status: got, headers } = await ask(await edge.connect(), { ':method': method });
    assert.deepEqual([got, headers['content-length']], [status, '5']);
    edge.plane.remove(uuid(1));
  }
  await eventually('both are served', () => edge.seen.filter(({ outcome }) => outcome === 'served').length === 2);
});
