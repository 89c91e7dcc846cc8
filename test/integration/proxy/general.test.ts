/** What only the general engine can get wrong: requests that node:http reads at once, and apps that send too much. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answering,
  counts,
  eventually,
  HANDSHAKE,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  SWITCH,
  testBoth,
} from './harness.ts';
import type { Wire } from './harness.ts';

const engine = 'http-proxy';

testBoth(
  "a body after the response to a HEAD closes the connection to the app, and fails no client's request",
  async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, (wire) => {
      wire.socket.on('data', () => wire.send(wire.received.startsWith('HEAD') ? OK : OK.replace('ok', 'go')));
    });
    await route(edge, upstream.port);
    const client = await edge.send(`HEAD /a ${HEAD}\r\nGET /b ${HEAD}\r\n`);
    await client.sees(
      /^HTTP\/1.1 200 OK\r\nContent-Length: 2\r\n(?:[^\r]+\r\n)*\r\nHTTP\/1.1 200 OK\r\n.*\r\n\r\ngo$/s,
    );
    await (await upstream.wire(0)).end();
    assert.deepEqual(counts(edge), { failed: 0, served: 2, targetFailed: 0, inFlight: 0 });
  },
);

testBoth('unsolicited data on an idle connection to an app is not used as the next response', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire, index) =>
    answering(index === 0 ? OK : OK.replace('ok', 'go'))(wire),
  );
  await route(edge, upstream.port);
  const client = await edge.send(`GET /1 ${HEAD}\r\n`);
  await client.sees(/ok$/);
  (await upstream.wire(0)).send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
  await (await upstream.wire(0)).end();
  client.send(`GET /2 ${HEAD}\r\n`);
  await client.sees(/ok.*go$/s);
  assert.doesNotMatch(client.received, /evil/);
});

testBoth('garbage in a body yields 400 and aborts the request, even if its app answers a moment later', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees(/1\r\na\r\n$/);
  client.send('garbage\r\n');
  await client.sees(/^HTTP\/1.1 400 .*Connection: close.*ORK_INVALID\n$/s);
  wire.send(OK);
  await wire.end();
  assert.equal(await client.end(), 'fin');
  assert.doesNotMatch(client.received, /200 OK/);
  assert.deepEqual(counts(edge), { failed: 0, served: 0, targetFailed: 0, inFlight: 0 });
});

testBoth('pipelined requests reach the app one after another, in order', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(
    `POST /a ${HEAD}Content-Length: 3\r\n\r\nabcGET /b ${HEAD}\r\nGET /c ${HEAD}Connection: close\r\n\r\nGET /never ${HEAD}\r\n`,
  );
  const first = await upstream.wire(0);
  await first.sees(/abc$/);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(
    upstream.wires
      .map(({ received }) => received)
      .join('')
      .includes('/b'),
    false,
  );
  const seen = (path: string): Wire | undefined =>
    upstream.wires.find((wire) => wire.received.includes(`GET ${path} `));
  first.send(OK);
  await eventually('the second', () => seen('/b') !== undefined);
  assert.equal(seen('/c'), undefined);
  seen('/b')?.send(OK);
  await eventually('the third', () => seen('/c') !== undefined);
  seen('/c')?.send(OK);
  assert.equal(await client.end(), 'fin');
  assert.equal(client.received.split('200 OK').length, 4);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(seen('/never'), undefined);
});

test('an upgrade after an unanswered request waits for its turn', async (t) => {
  const edge = await startEdge(t, { engine: 'fast' });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET /slow ${HEAD}\r\n${HANDSHAKE}early`);
  const first = await upstream.wire(0);
  await first.sees('/slow');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(upstream.wires.length, 1);
  first.send(OK);
  const second = await upstream.wire(1);
  await second.sees('/ws');
  second.send(SWITCH);
  await client.sees(/ok.*101 Switching/s);
  await second.sees(/early$/);
});

/** A client of the fast engine that sends this moves its connection to the general engine. */
const BIG = `GET /big ${HEAD}TE: trailers\r\nConnection: TE\r\n\r\n`;
const BIG_BYTES = 4_000_000;
const bigAnswer = `HTTP/1.1 200 OK\r\nContent-Length: ${BIG_BYTES}\r\n\r\n${'b'.repeat(BIG_BYTES)}`;

testBoth('a handshake during a response is sent as a plain request, and blocks nothing', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`${BIG}${HANDSHAKE}`);
  const first = await upstream.wire(0);
  await first.sees('/big');
  first.send(bigAnswer);
  await client.sees(/b{1000}$/);
  await eventually('the second', () => first.received.includes('GET /ws '));
  assert.doesNotMatch(first.received, /upgrade/i);
  first.send(OK);
  await client.sees(/b\r?\n?HTTP\/1.1 200 OK.*ok$/s);
  client.send(HANDSHAKE);
  const second = await upstream.wire(1);
  await second.sees(/Upgrade: websocket/i);
  second.send(SWITCH);
  await client.sees('101 Switching');
});

testBoth('a client that leaves during a response with a handshake after it releases its claim', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(bigAnswer));
  await route(edge, upstream.port);
  const client = await edge.send(`${BIG}${HANDSHAKE}`);
  await client.sees(/b{1000}/);
  client.socket.destroy();
  await eventually('the end of the claim', () => counts(edge).inFlight === 0);
});

const CONNECT = 'CONNECT app.test:80 HTTP/1.1\r\nHost: app.test:80\r\n\r\n';

testBoth('CONNECT is refused after the responses to earlier requests, however long they are', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`${BIG}GET /next ${HEAD}\r\n${CONNECT}`);
  const wire = await upstream.wire(0);
  await wire.sees('/big');
  await new Promise((resolve) => setTimeout(resolve, 50));
  wire.send(bigAnswer);
  await eventually('the second', () => wire.received.includes('GET /next '));
  wire.send(bigAnswer);
  assert.equal(await client.end(), 'fin');
  const [, first, second, third] = client.received.split('HTTP/1.1 ');
  assert.match(first ?? '', /^200 OK\r\n.*b{1000}$/s);
  assert.match(second ?? '', /^200 OK\r\n.*b{1000}$/s);
  assert.match(third ?? '', /^405 /);
  assert.ok(client.received.length > BIG_BYTES * 2);
});

testBoth('a client that leaves during a response with CONNECT after it releases its claim', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(bigAnswer));
  await route(edge, upstream.port);
  const client = await edge.send(`${BIG}${CONNECT}`);
  await client.sees(/b{1000}/);
  client.socket.destroy();
  await eventually('the end of the claim', () => counts(edge).inFlight === 0);
});

test('a client that pipelines endlessly without reading a response is not read any further', async (t) => {
  const edge = await startEdge(t, { engine });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET /first ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  const many = `GET /next ${HEAD}\r\n`.repeat(1000);
  for (let sent = 0; sent < 500; sent += 1) client.send(many);
  let before = -1;
  await eventually('the flow to stop', () => {
    const left = client.socket.writableLength;
    const stopped = left === before;
    before = left;
    return stopped && left < many.length * 500;
  });
  assert.ok(client.socket.writableLength > many.length * 100, `${client.socket.writableLength} bytes are held back`);
  // The flow resumes where it stopped.
  wire.send(OK);
  await eventually('the second', () => wire.received.includes('/next'));
  client.socket.resetAndDestroy();
  await wire.end();
});

testBoth('a 101 response that was not requested and names no protocol yields 502', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(
    t,
    answering('HTTP/1.1 101 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  );
  await route(edge, upstream.port);
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE\n$/s);
});
