/** The fast engine's own paths: where it hands over, and where bytes arrive in pieces, late or in excess. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { CLOSED_PORT } from '../../harness/free-port.ts';
import { startServing } from './engine-harness.ts';
import {
  answering,
  dechunked,
  entryFor,
  eventually,
  listen,
  HANDSHAKE,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  SWITCH,
  testBoth,
  uuid,
} from './harness.ts';
import type { Wire } from './harness.ts';

/** Answers every request with the rest of its path as the body. */
function echo(wire: Wire): void {
  let at = 0;
  wire.socket.on('data', () => {
    for (;;) {
      const end = wire.received.indexOf('\r\n\r\n', at);
      if (end < 0) return;
      const [, path = ''] = wire.received.slice(at, end).split(' ', 2);
      at = end + 4;
      wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    }
  });
}

/** A message with its chunks joined. */
function whole(message: string): string {
  const [, head, chunks] = /^(.*chunked\r\n(?:[^\r]+\r\n)*\r\n)(.*)$/is.exec(message) ?? [];
  if (head === undefined || chunks === undefined) return message;
  const { body, trailers } = dechunked(chunks);
  return `${head}${body}|${trailers}`;
}

test('a WebSocket after plain requests on the same connection is served by the fast engine, too', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => wire.send(wire.received.includes('/ws') ? SWITCH : OK));
  });
  edge.serve(upstream.port);
  const client = await edge.send(`GET /1 ${HEAD}\r\n`);
  await client.sees(/ok$/);
  client.send(`GET /2 ${HEAD}\r\n${HANDSHAKE}`);
  await client.sees(/ok.*ok.*101 Switching/s);
  client.socket.end();
  await eventually('the WebSocket to be told of', () => edge.seen.length === 3);
  assert.deepEqual(
    edge.seen.map(({ engine, status }) => [engine, status]),
    [
      ['fast', 200],
      ['fast', 200],
      ['fast', 101],
    ],
  );
});

test('a body that waits for 100, an unusual method and plain requests share one connection', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', (bytes) => {
      const text = String(bytes);
      if (/expect: 100-continue/i.test(text)) wire.send('HTTP/1.1 100 Continue\r\n\r\n');
      else wire.send(OK);
    });
  });
  edge.serve(upstream.port);
  const client = await edge.send(`GET /1 ${HEAD}\r\n`);
  await client.sees(/ok$/);
  client.send(`PUT /2 ${HEAD}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n`);
  await client.sees(/ok.*100 Continue\r\n\r\n$/s);
  client.send('3\r\nabc\r\n0\r\n\r\n');
  await client.sees(/100 Continue.*200 OK.*ok$/s);
  client.send(`PROPFIND /3 ${HEAD}\r\n`);
  await client.sees(/100 Continue.*ok.*200 OK.*ok$/s);
  client.send(`GET /4 ${HEAD}\r\n`);
  await client.sees(/100 Continue.*ok.*ok.*200 OK.*ok$/s);
  assert.deepEqual(
    edge.seen.map(({ engine, method, bytesIn }) => [engine, method, bytesIn]),
    [
      ['fast', 'GET', 0],
      ['general', 'PUT', 3],
      ['general', 'PROPFIND', 0],
      ['general', 'GET', 0],
    ],
  );
});

testBoth('a hundred pipelined requests are answered in order', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, echo);
  await route(edge, upstream.port);
  const paths = Array.from({ length: 100 }, (_, index) => `/${index}-${'x'.repeat(index % 7)}`);
  const client = await edge.send(paths.map((path) => `GET ${path} ${HEAD}\r\n`).join(''));
  await client.sees(/\/99-x\n?$/);
  assert.deepEqual(client.received.match(/\/\d+-x*/g), paths);
});

testBoth('requests that arrive byte by byte are read as if they had arrived at once', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => {
      if (wire.received.endsWith(wire.received.includes('POST') ? '\r\n0\r\n\r\n' : '\r\n\r\n')) wire.send(OK);
    });
  });
  await route(edge, upstream.port);
  const client = await edge.connect();
  client.socket.setNoDelay(true);
  const body = 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n';
  for (const byte of `GET /1?q ${HEAD}\r\nPOST /2 ${HEAD}${body}`) {
    client.send(byte);
    await new Promise(setImmediate);
  }
  await client.sees(/ok.*200 OK.*ok$/s);
  const received = upstream.wires.map((wire) => wire.received).join('');
  assert.match(received, /^GET \/1\?q HTTP\/1.1\r\n/);
  assert.match(received, /POST \/2 HTTP\/1.1\r\n.*host: app.test\r\n/is);
  assert.match(received, /\r\n0\r\n\r\n$/);
  assert.match(whole(received), /\r\n\r\nbody\|\r\n$/);
});

const ANSWERS = {
  'a length': 'HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 4\r\n\r\nbody',
  'chunks, extensions and trailers':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x="y"\r\nbo\r\n02\r\ndy\r\n0\r\nX-T: 1\r\nContent-Type: x\r\n\r\n',
  'preceding interim responses':
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody',
  'no body': 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n',
} as const;

for (const [name, answer] of Object.entries(ANSWERS)) {
  testBoth(`a response with ${name} may be split anywhere`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, (wire) => {
      wire.socket.setNoDelay(true);
      wire.socket.on('data', (head) => {
        const at = Number(/GET \/(\d+)/.exec(String(head))?.[1]);
        wire.send(answer.slice(0, at));
        setTimeout(() => wire.send(answer.slice(at)), 10);
      });
    });
    await route(edge, upstream.port);
    const all = await Promise.all(
      Array.from({ length: answer.length }, async (_, at) => {
        const client = await edge.send(`GET /${at} ${HEAD}Connection: close\r\n\r\n`);
        await client.end();
        return whole(client.received.replace(/Date: .*\r\n/, ''));
      }),
    );
    assert.equal(new Set(all).size, 1, JSON.stringify([...new Set(all)].slice(0, 3)));
    const [one = ''] = all;
    if (answer.includes('dy')) assert.match(one, /\r\nbody/);
    if (answer.includes('Link')) assert.match(one, /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a>\r\n\r\n/);
    if (answer.includes('X-T')) assert.match(one, /\r\n\r\nbody\|X-T: 1\r\n\r\n$/);
    assert.doesNotMatch(one, /Content-Type/);
  });
}

testBoth('a response that ends with its connection ends likewise for the client', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n');
  for (const part of ['one', 'two']) {
    wire.send(part);
    await client.sees(part);
  }
  wire.socket.end();
  // The general engine sends it in chunks, and then keeps the connection.
  await client.sees(/two$|two\r\n0\r\n\r\n$/);
  if (!/chunked/i.test(client.received)) assert.equal(await client.end(), 'fin');
});

test("a connection is not kept longer than the app's Keep-Alive timeout", async (t) => {
  const edge = await startEdge(t, { timeouts: { poolIdleMs: 60_000 } });
  const answer = OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=1\r\n\r\n');
  const upstream = await scriptedUpstream(t, answering(answer));
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  await client.sees(/ok$/);
  assert.doesNotMatch(client.received, /timeout/);
  assert.equal(await (await upstream.wire(0)).end(), 'fin');
});

testBoth('one refusing copy among several of an app causes no failed request', async (t) => {
  const edge = await startEdge(t);
  const good = await scriptedUpstream(t, answering(OK));
  const targets = [CLOSED_PORT, good.port].map((port) => ({ id: uuid(1001), address: '127.0.0.1', port }));
  await edge.proxy.table.flip({ entry: entryFor(good.port, { targets }), expectedGeneration: 0 });
  const methods = ['GET', 'DELETE', 'HEAD', 'GET', 'OPTIONS', 'GET', 'POST', 'GET'];
  const clients = await Promise.all(methods.map((method) => edge.send(`${method} / ${HEAD}\r\n`)));
  await Promise.all(clients.map((client) => client.sees(/^HTTP\/1.1 200 OK\r\n/)));
  const requests = good.wires.flatMap(({ received }) => received.match(/ \/ HTTP/g) ?? []);
  assert.equal(requests.length, methods.length);
});

testBoth('a held request counts once towards the rate of its client', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.serve(upstream.port, { ratePerClient: { requests: 1, perSeconds: 600, burst: 0 } });
  edge.plane.hold({ upstreamId: uuid(1), maxRequests: 10, maxBytes: 1_000_000, maxSeconds: 30 });
  const client = await edge.send(`GET /held ${HEAD}\r\n`);
  await eventually('it to wait', () => edge.plane.counts(uuid(1))[0]?.held === 1);
  edge.plane.resume(uuid(1));
  await client.sees(/^HTTP\/1.1 200 OK.*ok$/s);
  client.send(`GET /again ${HEAD}\r\n`);
  await client.sees(/HTTP\/1.1 429 .*Retry-After: \d+\r\n/s);
});

testBoth('Connection may have several lines, and each counts', async (t) => {
  const edge = await startEdge(t);
  const nominating = 'Connection: close, X-Inner\r\nConnection: X-More\r\nX-Inner: 1\r\nX-More: 1\r\n';
  const upstream = await scriptedUpstream(t, answering(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${nominating}\r\nok`));
  await route(edge, upstream.port);
  const client = await edge.send(`GET /1 ${HEAD}\r\n`);
  await client.sees(/ok$/);
  client.send(`GET /2 ${HEAD}\r\n`);
  await client.sees(/ok.*200 OK.*ok$/s);
  assert.doesNotMatch(client.received, /X-Inner|X-More/);
  assert.equal(upstream.wires.length, 2);
});

testBoth(
  'when a client disconnects, its request is abandoned, and no pipelined request after it is started',
  async (t) => {
    for (const behind of ['G', `GET /2 ${HEAD}\r\nGET /3 ${HEAD}\r\n`]) {
      const edge = await startServing(t);
      const upstream = await scriptedUpstream(t, (wire, index) => index > 0 && answering(OK)(wire));
      edge.serve(upstream.port);
      const client = await edge.send(`GET /1 ${HEAD}\r\n${behind}`);
      const wire = await upstream.wire(0);
      await wire.sees('\r\n\r\n');
      client.socket.destroy();
      assert.equal(await wire.end(), 'fin');
      // Any request started earlier would be answered before this one.
      await (await edge.send(`GET /last ${HEAD}\r\n`)).sees(/ok$/);
      await eventually('the last to be told of', () => edge.seen.at(-1)?.target === '/last');
      const told = edge.seen.filter(({ claimed }) => claimed).map(({ target, outcome }) => [target, outcome]);
      assert.deepEqual(told, [
        ['/1', 'abandoned'],
        ['/last', 'served'],
      ]);
    }
  },
);

for (const response of [
  'HTTP/1.1 204 No Content\r\nTrailer: X\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nTrailer: X\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok',
]) {
  testBoth(`an app may announce trailers that its response has no room for: ${response.slice(9, 12)}`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, answering(response));
    await route(edge, upstream.port);
    const client = await edge.send(`GET /1 ${HEAD}\r\nGET /2 ${HEAD}Connection: close\r\n\r\n`);
    await client.end();
    assert.equal(client.received.split(response.slice(0, 12)).length, 3, client.received);
  });
}

testBoth('a connection whose app sent more than its response is not reused', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`));
  await route(edge, upstream.port);
  for (const _ of [1, 2]) await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/ok$/);
  assert.equal(upstream.wires.length, 2);
});

test('long responses are complete for clients that keep up, pause, or leave', async (t) => {
  const edge = await startServing(t);
  const body = randomBytes(12_000_000);
  const app = createHttpServer((_req, res) => res.writeHead(200, { 'content-length': body.length }).end(body));
  t.after(() => app.close());
  edge.serve(await listen(app));
  const download = async (index: number): Promise<string> => {
    const socket = createConnection(edge.port, '127.0.0.1');
    const hash = createHash('sha256');
    let bytes = 0;
    socket.write(`GET /${index} ${HEAD}\r\n`);
    for await (const part of socket as AsyncIterable<Buffer>) {
      const head = bytes === 0 ? part.indexOf('\r\n\r\n') + 4 : 0;
      hash.update(part.subarray(head));
      bytes += part.length - head;
      if (bytes === body.length) break;
      if (index % 3 === 2 && bytes > body.length / 2) return 'left';
      if (index % 3 === 1 && bytes % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return hash.digest('hex');
  };
  // More downloads than may read large pieces at once.
  const found = await Promise.all(Array.from({ length: 48 }, (_, index) => download(index)));
  const expected = createHash('sha256').update(body).digest('hex');
  assert.deepEqual(new Set(found), new Set([expected, 'left']));
  assert.equal(found.filter((one) => one === expected).length, 32);
});

testBoth('a request after a body that the app did not read is still read', async (t) => {
  const edge = await startEdge(t);
  await route(edge, CLOSED_PORT);
  const client = await edge.send(`POST /1 ${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`);
  await client.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE\n$/s);
  client.send(`GET /2 ${HEAD}\r\n`);
  await client.sees(/ORK_APP_UNREACHABLE\nHTTP\/1.1 502 .*ORK_APP_UNREACHABLE\n$/s);
});
