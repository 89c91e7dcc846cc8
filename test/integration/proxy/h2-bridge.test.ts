/** HTTP/2 requests that need the general engine: features of routes, expectations, WebSockets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:http2';
import type { ClientHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { WebSocketServer } from 'ws';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { ask, reply, startHttp2Edge } from './h2-harness.ts';
import type { Http2Edge } from './h2-harness.ts';
import { answering, entryFor, eventually, listen, OK, scriptedUpstream, uuid } from './harness.ts';

test('a route with a stripped prefix is served over HTTP/2, too', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t, answering(OK));
  edge.plane.put(entryFor(app.port, { routes: [{ host: 'app.test', pathPrefix: '/api', stripPrefix: true }] }));
  const answer = await ask(await edge.connect(), { ':path': '/api/users?x=1', cookie: 'a=1' });
  assert.deepEqual([answer.status, answer.text], [200, 'ok']);
  const head = app.wires[0]?.received ?? '';
  assert.match(head, /x-forwarded-for: 127\.0\.0\.1\r\n/);
  assert.match(head, /x-forwarded-proto: https\r\n/);
  assert.match(head, /cookie: a=1\r\n/);
});

test('Max-Forwards is counted over HTTP/2, too', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t, answering(OK));
  edge.plane.put(entryFor(app.port));
  const session = await edge.connect();
  const here = await ask(session, { ':method': 'OPTIONS', 'max-forwards': '0' });
  assert.deepEqual([here.status, here.text, app.wires.length], [200, '', 0]);
  assert.equal((await ask(session, { ':method': 'OPTIONS', 'max-forwards': '2' })).text, 'ok');
  assert.match(app.wires[0]?.received ?? '', /\r\nmax-forwards: 1\r\n/);
});

test('an expectation is passed to the app, whose 100 releases the body', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t);
  edge.plane.put(entryFor(app.port));
  const session = await edge.connect();
  const stream = session.request({
    ':authority': 'app.test',
    ':path': '/',
    ':method': 'POST',
    'content-length': 4,
    expect: '100-continue',
  });
  const answer = reply(stream);
  const continued = once(stream, 'continue');
  const wire = await app.wire(0);
  await wire.sees(/\r\n\r\n$/);
  assert.match(wire.received, /expect: 100-continue/i);
  wire.send('HTTP/1.1 100 Continue\r\n\r\n');
  await continued;
  stream.end('body');
  await wire.sees(/\r\n\r\nbody$/);
  wire.send(OK);
  assert.equal((await answer).status, 200);
});

for (const engine of ['general', 'fast'] as const) {
  test(`a request with content-length 0 reaches the app when it ends, and one with a body at once (${engine})`, async (t) => {
    const edge = await startHttp2Edge(t);
    const app = await scriptedUpstream(t, answering(OK));
    edge.plane.put(
      entryFor(app.port, { routes: [{ host: 'app.test', pathPrefix: '/', stripPrefix: engine === 'general' }] }),
    );
    const session = await edge.connect();
    const begin = (path: string, length: number): ClientHttp2Stream =>
      session.request({ ':authority': 'app.test', ':path': path, ':method': 'POST', 'content-length': length });
    const empty = begin('/empty', 0);
    const full = begin('/full', 4);
    const answers = Promise.all([reply(empty), reply(full)]);
    const wire = await app.wire(0);
    await wire.sees(/^POST \/full /);
    assert.equal(app.wires.length, 1);
    empty.end();
    full.end('body');
    assert.deepEqual(
      (await answers).map(({ status }) => status),
      [200, 200],
    );
  });
}

test('a body of unknown length and trailers pass through the bridge both ways', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t);
  edge.plane.put(entryFor(app.port, { routes: [{ host: 'app.test', pathPrefix: '/', stripPrefix: true }] }));
  const session = await edge.connect();
  const stream = session.request(
    { ':authority': 'app.test', ':path': '/', ':method': 'POST', te: 'trailers' },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
  const answer = reply(stream);
  stream.write('hello');
  const wire = await app.wire(0);
  await wire.sees('hello');
  stream.end();
  await wire.sees(/0\r\nx-sum: 7\r\n\r\n$/);
  wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Check: fine\r\n\r\n');
  const { text, trailers } = await answer;
  assert.deepEqual([text, trailers['x-check']], ['ab', 'fine']);
});

test('an app that aborts its response behind the bridge resets the stream', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t, (wire) =>
    wire.socket.on('data', () => {
      wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
      wire.socket.end();
    }),
  );
  edge.plane.put(entryFor(app.port, { routes: [{ host: 'app.test', pathPrefix: '/', stripPrefix: true }] }));
  await assert.rejects(ask(await edge.connect(), {}), /INTERNAL_ERROR/);
});

test('a client that resets a bridged stream closes the connection to the app', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t);
  edge.plane.put(entryFor(app.port, { routes: [{ host: 'app.test', pathPrefix: '/', stripPrefix: true }] }));
  const session = await edge.connect();
  const stream = session.request({ ':authority': 'app.test', ':path': '/' });
  stream.on('error', () => undefined);
  const wire = await app.wire(0);
  await wire.sees(/\r\n\r\n$/);
  stream.close(8);
  await wire.end();
});

test('a large response passes through the bridge with back-pressure', async (t) => {
  const edge = await startHttp2Edge(t);
  const size = 4 * 1024 * 1024;
  const server = createServer((_req, res) => res.end(Buffer.alloc(size, 'x')));
  const port = await listen(server);
  t.after(() => server.close());
  edge.plane.put(entryFor(port, { routes: [{ host: 'app.test', pathPrefix: '/', stripPrefix: true }] }));
  assert.equal((await ask(await edge.connect(), {})).text.length, size);
});

/** An app that echoes requests and WebSocket messages. */
async function echoApp(t: TestContext): Promise<{ port: number; closes: number[]; sockets: WebSocketServer }> {
  const server = createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  const closes: number[] = [];
  sockets.on('connection', (socket) => {
    socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`));
    socket.on('close', (code) => closes.push(code));
  });
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return { port: await listen(server), closes, sockets };
}

/** A handshake according to RFC 8441. */
async function webSocket(edge: Http2Edge): Promise<ClientHttp2Stream> {
  const session = await edge.connect();
  assert.equal(session.remoteSettings.enableConnectProtocol, true);
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':authority': 'app.test',
    ':path': '/chat',
    'sec-websocket-version': '13',
  });
  stream.on('error', () => undefined);
  return stream;
}

test('a WebSocket over HTTP/2 reaches the app as an upgrade, and a drain ends it with 1001 on both sides', async (t) => {
  const edge = await startHttp2Edge(t);
  const { port, closes } = await echoApp(t);
  edge.plane.put(entryFor(port));
  const stream = await webSocket(edge);
  const [headers] = await once(stream, 'response');
  assert.equal(headers[':status'], 200);
  assert.equal(headers['sec-websocket-accept'], undefined);
  const received: Buffer[] = [];
  stream.on('data', (bytes: Buffer) => received.push(bytes));
  // Text frame `hi`, masked with zeros.
  stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
  await eventually('the echo', () => Buffer.concat(received).includes('echo hi'));
  edge.plane.put(entryFor(port, { generation: 2, targets: [{ id: uuid(1002), address: '127.0.0.1', port }] }));
  const ended = once(stream, 'end');
  const drained = edge.plane.drain({
    upstreamId: uuid(1),
    targetId: uuid(1001),
    deadlineSeconds: 0.01,
    streamDeadlineSeconds: 0.02,
    spreadSeconds: 0,
  });
  await eventually('the Close frame', () => Buffer.concat(received).includes(Buffer.from([0x88, 2, 3, 0xe9])));
  // The answer to the Close frame, masked.
  stream.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]));
  await ended;
  assert.deepEqual((await drained).streams, { carried: 1, ended: 0, closed: 1 });
  await eventually('the app hears of it', () => closes.length === 1);
  assert.deepEqual(closes, [1001]);
  assert.equal(stream.rstCode, 0);
});

test("an app's refusal of a WebSocket is passed on, and other protocols are refused", async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t, answering('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
  edge.plane.put(entryFor(app.port));
  const stream = await webSocket(edge);
  const [headers] = await once(stream, 'response');
  assert.equal(headers[':status'], 403);
  stream.close();
  const session = await edge.connect();
  const other = session.request({
    ':method': 'CONNECT',
    ':protocol': 'connect-udp',
    ':scheme': 'https',
    ':authority': 'app.test',
    ':path': '/',
  });
  const [refusal] = await once(other, 'response');
  assert.equal(refusal[':status'], 501);
  other.close();
});

test('a request to a held upstream waits, and continues when the hold ends', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t, answering(OK));
  edge.plane.put(entryFor(app.port));
  const route = edge.plane.routesOf('app.test')?.find('/');
  route?.upstream.hold({ maxRequests: 10, maxBytes: 1_000_000, maxMs: 10_000 });
  const session = await edge.connect();
  const answer = ask(session, {});
  await eventually('it waits', () => route?.upstream.counts().held === 1);
  assert.equal(app.wires.length, 0);
  route?.upstream.resume();
  assert.equal((await answer).status, 200);
});

test('a held request is counted once by the rate limit', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t, answering(OK));
  const ratePerClient = { requests: 1, perSeconds: 60, burst: 0 };
  edge.plane.put(entryFor(app.port, { edge: EdgeSettings.parse({ ratePerClient }) }));
  const upstream = edge.plane.routesOf('app.test')?.find('/')?.upstream;
  upstream?.hold({ maxRequests: 10, maxBytes: 1_000_000, maxMs: 10_000 });
  const session = await edge.connect();
  const answer = ask(session, {});
  await eventually('it waits', () => upstream?.counts().held === 1);
  upstream?.resume();
  assert.equal((await answer).status, 200);
  assert.equal((await ask(session, {})).status, 429);
});

test('with the engine http-proxy every request uses the general engine', async (t) => {
  const edge = await startHttp2Edge(t, { engine: 'http-proxy' });
  const app = await scriptedUpstream(t, answering(OK));
  edge.plane.put(entryFor(app.port));
  assert.equal((await ask(await edge.connect(), {})).status, 200);
  await eventually('it is told', () => edge.seen.length === 1);
  assert.equal(edge.seen[0]?.engine, 'general');
});

test("a body that trickles gets 408 after its grace period, and its app's connection is closed", async (t) => {
  let aheadMs = 0;
  const edge = await startHttp2Edge(t, { aheadMs: () => aheadMs });
  const app = await scriptedUpstream(t);
  edge.plane.put(entryFor(app.port));
  const session = await edge.connect();
  const stream = session.request({ ':method': 'POST', ':authority': 'app.test', ':path': '/' }, { endStream: false });
  stream.write('a');
  await (await app.wire(0)).sees('a');
  aheadMs = 30_000;
  stream.write('b');
  assert.equal((await reply(stream)).status, 408);
  await (await app.wire(0)).end();
});

test('a closing proxy completes requests in flight and sends GOAWAY without an error', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = await scriptedUpstream(t);
  edge.plane.put(entryFor(app.port, { edge: EdgeSettings.parse({}) }));
  const session = connect(`https://app.test:${edge.port}`, {
    ca: edge.cert,
    host: '127.0.0.1',
    servername: 'app.test',
  });
  t.after(() => session.destroy());
  const goaways: number[] = [];
  session.on('goaway', (code) => goaways.push(code));
  const answer = ask(session, {});
  const wire = await app.wire(0);
  await wire.sees(/\r\n\r\n$/);
  const closed = edge.front.close();
  await eventually('GOAWAY', () => goaways.length > 0);
  assert.equal(goaways[0], 0);
  wire.send(OK);
  assert.equal((await answer).text, 'ok');
  await closed;
});
