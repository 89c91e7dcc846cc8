/** The proxy on real sockets; its gate connects every allowed name to a server of the test. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startForwardProxy } from './forward-proxy.ts';
import { type Gate, Refusal } from './gate.ts';

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return portOf(server);
}

/** A proxy that connects every name but `*.evil` to `port`. */
async function proxyTo(t: TestContext, port: number, client = '127.0.0.1') {
  const refused: string[] = [];
  const asked: string[] = [];
  const gate: Gate = {
    async open(host, wanted) {
      asked.push(`${host}:${wanted}`);
      if (host.endsWith('.evil')) throw new Refusal(`${host}:${wanted} is not in buildHosts`);
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      await once(socket, 'connect');
      return socket;
    },
  };
  const proxy = await startForwardProxy({
    address: '127.0.0.1',
    client,
    gate,
    onRefused: (text) => refused.push(text),
  });
  t.after(() => proxy.close());
  return { proxy, refused, asked };
}

/** Sends `head`, and returns all that arrives until the other side closes. */
async function exchange(port: number, head: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write(head);
  try {
    return await text(socket);
  } finally {
    socket.destroy();
  }
}

test('a tunnel carries all bytes both ways, and each direction ends on its own', async (t) => {
  const sent = randomBytes(3_000_000);
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const { proxy, asked } = await proxyTo(t, await listening(t, echo));
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  // The first bytes arrive along with the head.
  socket.write(
    Buffer.concat([Buffer.from('CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n'), sent.subarray(0, 10)]),
  );
  socket.end(sent.subarray(10));
  const answer = await buffer(socket);
  const end = answer.indexOf('\r\n\r\n') + 4;
  assert.match(answer.subarray(0, end).toString(), /^HTTP\/1\.1 200 /);
  assert.ok(answer.subarray(end).equals(sent));
  assert.deepEqual(asked, ['a.example:443']);
});

test('a refusal is reported to both the program and the caller, by tunnel and by URL', async (t) => {
  const { proxy, refused } = await proxyTo(
    t,
    await listening(
      t,
      createServer(() => assert.fail('nobody dials')),
    ),
  );
  const tunnelled = await exchange(proxy.port, 'CONNECT x.evil:443 HTTP/1.1\r\n\r\n');
  assert.match(
    tunnelled,
    /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\n\r\norkestr: refused: x\.evil:443 is not in buildHosts\n$/,
  );
  const plain = await exchange(proxy.port, 'GET http://x.evil/a HTTP/1.1\r\nHost: good.example\r\n\r\n');
  assert.match(plain, /^HTTP\/1\.1 403 [^]*x\.evil:80 is not in buildHosts\n/);
  assert.deepEqual(refused, ['x.evil:443 is not in buildHosts', 'x.evil:80 is not in buildHosts']);
});

test('a plain request is forwarded with the host of its URL and its body, but without hop-by-hop headers', async (t) => {
  const seen: unknown[] = [];
  const app: RequestListener = (request, response) => {
    void text(request).then((body) => {
      seen.push([request.method, request.url, body, request.headers]);
      response.writeHead(201, { 'x-answer': 'yes', connection: 'x-hop', 'x-hop': '1' }).end('made');
    });
  };
  const { proxy, asked } = await proxyTo(t, await listening(t, createHttpServer(app)));
  const head = 'DELETE http://b.example:8080/x?y=1 HTTP/1.1\r\nHost: other.example\r\nProxy-Connection: keep-alive\r\n';
  const more = 'X-Mine: 1\r\nConnection: close, x-drop\r\nX-Drop: 1\r\nTransfer-Encoding: chunked\r\n\r\n';
  const answer = await exchange(proxy.port, `${head}${more}5\r\nhello\r\n0\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 201 Created\r\nx-answer: yes\r\n/);
  assert.doesNotMatch(answer, /x-hop/);
  assert.match(answer, /made/);
  assert.deepEqual(seen, [
    [
      'DELETE',
      '/x?y=1',
      'hello',
      { 'x-mine': '1', 'transfer-encoding': 'chunked', host: 'b.example:8080', connection: 'close' },
    ],
  ]);
  assert.deepEqual(asked, ['b.example:8080']);
});

test('a request that is not meant for a proxy gets 400, and nothing is dialled', async (t) => {
  const { proxy, asked } = await proxyTo(t, await listening(t, createServer()));
  const heads = [
    'GET / HTTP/1.1\r\nHost: a.example',
    'GET https://a.example/ HTTP/1.1\r\nHost: a',
    'GET http://u:p@a/ HTTP/1.1\r\nHost: a',
  ];
  const tunnels = ['CONNECT a.example HTTP/1.1', 'CONNECT a.example:port HTTP/1.1', 'CONNECT http://a:443 HTTP/1.1'];
  for (const head of [...heads.map((text) => `${text}\r\nConnection: close`), ...tunnels])
    assert.match(await exchange(proxy.port, `${head}\r\n\r\n`), /^HTTP\/1\.1 400 /, head);
  assert.deepEqual(asked, []);
});

test('a client other than the build is not served', async (t) => {
  const { proxy, asked } = await proxyTo(t, await listening(t, createServer()), '127.0.0.77');
  const answer = await exchange(proxy.port, 'CONNECT a.example:443 HTTP/1.1\r\n\r\n').catch(() => '');
  assert.equal(answer, '');
  assert.deepEqual(asked, []);
});

test('an upstream that resets the connection in the middle of an answer does not bring down the proxy', async (t) => {
  const upstream = createServer((socket) => {
    socket.on('error', () => undefined).write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf');
    setTimeout(() => socket.resetAndDestroy(), 20);
  });
  const { proxy } = await proxyTo(t, await listening(t, upstream));
  const whole = 'GET http://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n';
  const half = 'POST http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nbegun';
  for (const head of [whole, half]) {
    const answer = await exchange(proxy.port, head).catch(() => 'reset');
    assert.ok(answer === 'reset' || answer.length < 1000);
  }
  await delay(50);
  assert.match(await exchange(proxy.port, 'CONNECT x.evil:443 HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 403 /);
});

test('a client that disconnects in the middle closes its upstream connection, and the proxy keeps running', async (t) => {
  const upstream = createServer((socket) => socket.on('error', () => undefined).resume());
  const { proxy } = await proxyTo(t, await listening(t, upstream));
  const head = 'POST http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nbegun';
  for (const words of [head, 'CONNECT a.example:443 HTTP/1.1\r\n\r\nhello']) {
    const [socket, connected] = [connect({ port: proxy.port, host: '127.0.0.1' }), once(upstream, 'connection')];
    socket.on('error', () => undefined).write(words);
    const [atUpstream] = (await connected) as [Socket];
    const gone = once(atUpstream, 'close');
    socket.resetAndDestroy();
    await gone;
  }
});

test('an answer that breaks off upstream breaks off for the client, too', async (t) => {
  const app: RequestListener = (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('half');
    setImmediate(() => response.destroy());
  };
  const { proxy } = await proxyTo(t, await listening(t, createHttpServer(app)));
  const answer = await exchange(proxy.port, 'GET http://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n').catch(() => 'reset');
  assert.ok(answer === 'reset' || answer.length < 1000);
});

test('a large header is rejected, and close() ends every connection', async (t) => {
  const held: Socket[] = [];
  const { proxy } = await proxyTo(
    t,
    await listening(
      t,
      createServer((socket) => held.push(socket)),
    ),
  );
  const large = await exchange(proxy.port, `GET http://a.example/ HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
  assert.match(large, /^HTTP\/1\.1 431 /);
  const open = connect({ port: proxy.port, host: '127.0.0.1' });
  open.on('error', () => undefined);
  open.write('CONNECT a.example:443 HTTP/1.1\r\n\r\n');
  await once(open, 'data');
  while (held.length === 0) await delay(5);
  const ended = held.map((socket) => once(socket.resume(), 'close'));
  await proxy.close();
  await Promise.all([...ended, once(open, 'close')]);
});
