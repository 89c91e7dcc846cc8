/** Where HTTP/1.1 over TLS differs from TCP: how bytes are read and written, and how a connection is broken. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:tls';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { makeCertificate } from '../../harness/certificates.ts';
import {
  answering,
  HEAD,
  listen,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  temporaryFolder,
  testBoth,
} from './harness.ts';
import type { Edge } from './harness.ts';

/** An edge with a certificate for app.test, and a function that connects to it with TLS. */
async function startTls(
  t: TestContext,
  settings: Parameters<typeof startEdge>[1] = {},
): Promise<{ edge: Edge; client: () => Promise<TLSSocket>; port: number; cert: string }> {
  const folder = await temporaryFolder(t);
  const { cert } = await makeCertificate(folder, 'app.test', ['DNS:app.test']);
  const edge = await startEdge(t, { ...settings, certificates: folder });
  const port = edge.proxy.addresses.find(({ kind }) => kind === 'https')?.port ?? 0;
  const client = async (): Promise<TLSSocket> => {
    const socket = connect({ host: '127.0.0.1', port, ca: cert, servername: 'app.test', ALPNProtocols: ['http/1.1'] });
    t.after(() => socket.destroy());
    // The test awaits the events it needs.
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  };
  return { edge, client, port, cert };
}

/** Everything received up to the end, and how the connection ended. */
async function untilEnd(socket: TLSSocket): Promise<{ text: string; end: string }> {
  let text = '';
  let end = 'fin';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  socket.once('error', (error: NodeJS.ErrnoException) => {
    end = error.code ?? error.message;
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return { text, end };
}

test("an aborted response that is framed by its connection's end is a reset over TLS, too", async (t) => {
  const { edge, client } = await startTls(t);
  const upstream = await scriptedUpstream(t, answering('HTTP/1.1 200 OK\r\n\r\nhalf of it'));
  await route(edge, upstream.port);
  const socket = await client();
  const ended = untilEnd(socket);
  socket.write(`GET / ${HEAD}\r\n`);
  await once(socket, 'data');
  (await upstream.wire(0)).socket.resetAndDestroy();
  const { text, end } = await ended;
  assert.match(text, /half of it$/);
  // If this had ended the edge's process, the next request would fail.
  assert.equal(end, 'ECONNRESET');
  const again = await client();
  again.write(`GET / ${HEAD}\r\n`);
  await once(again, 'data');
});

testBoth('an HTTP/1.0 client over TLS sees a reset when its response is aborted', async (t) => {
  const { edge, client } = await startTls(t);
  const upstream = await scriptedUpstream(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it'));
  await route(edge, upstream.port);
  const socket = await client();
  const ended = untilEnd(socket);
  socket.write('GET / HTTP/1.0\r\nHost: app.test\r\n\r\n');
  await once(socket, 'data');
  (await upstream.wire(0)).socket.resetAndDestroy();
  assert.equal((await ended).end, 'ECONNRESET');
});

testBoth('split and pipelined requests, and a last one for the general engine, are served over TLS', async (t) => {
  const { edge, client } = await startTls(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const socket = await client();
  const ended = untilEnd(socket);
  for (const octet of `GET /1 ${HEAD}\r\n`) socket.write(octet);
  socket.write(`GET /2 ${HEAD}\r\nGET /3 ${HEAD}\r\n`);
  // The last one is for the general engine, which takes over the connection with the bytes read so far.
  socket.write(`GET /4 ${HEAD}Expect: 100-continue\r\nConnection: close\r\n\r\n`);
  const { text, end } = await ended;
  assert.equal(text.split('HTTP/1.1 200 OK').length - 1, 4, text);
  assert.equal(end, 'fin');
});

testBoth('absolute form may name https over TLS, and only there', async (t) => {
  const { edge, client } = await startTls(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  for (const [target, origin] of [
    ['https://APP.test:443/a?b', '/a?b'],
    ['http://app.test', '/'],
  ]) {
    const socket = await client();
    const ended = untilEnd(socket);
    socket.write(`GET ${target} ${HEAD}Connection: close\r\n\r\n`);
    assert.match((await ended).text, /^HTTP\/1\.1 200 /, target);
    const seen = upstream.wires.map(({ received }) => received).join('');
    assert.ok(seen.includes(`GET ${origin} HTTP/1.1\r\n`), origin);
  }
  await (await edge.send(`GET https://app.test/ ${HEAD}\r\n`)).sees(/^HTTP\/1\.1 400 /);
});

test('the client address that a trusted sender names over HTTP/2 is used per request', async (t) => {
  for (const [trusted, addresses] of [
    [['127.0.0.0/8'], ['203.0.113.1', '203.0.113.2', '127.0.0.1']],
    [[], ['127.0.0.1', '127.0.0.1', '127.0.0.1']],
  ] as const) {
    const { edge, port, cert } = await startTls(t, { trusted });
    const upstream = await scriptedUpstream(t, answering(OK));
    await route(edge, upstream.port);
    const sender = connectHttp2('https://app.test', {
      createConnection: () =>
        connect({ host: '127.0.0.1', port, ca: cert, servername: 'app.test', ALPNProtocols: ['h2'] }),
    });
    t.after(() => sender.destroy());
    for (const claim of ['203.0.113.1', 'evil, 203.0.113.2', null]) {
      const stream = sender.request({ ':path': '/', ...(claim !== null && { 'x-forwarded-for': claim }) });
      await once(stream.resume(), 'end');
    }
    const seen = upstream.wires.map(({ received }) => received).join('');
    assert.deepEqual(
      [...seen.matchAll(/x-forwarded-for: (.*)\r/gi)].map(([, address]) => address),
      addresses,
    );
  }
});

testBoth('large bodies pass both ways completely over TLS, even to a client that reads slowly', async (t) => {
  const { edge, client } = await startTls(t);
  const body = randomBytes(6_000_000);
  const app = createServer((req, res) => req.pipe(res));
  t.after(() => app.close());
  await route(edge, await listen(app));
  const socket = await client();
  socket.write(`POST / ${HEAD}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n`);
  socket.write(body);
  const parts: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => {
    parts.push(bytes);
    socket.pause();
    setTimeout(() => socket.resume(), 1);
  });
  await once(socket, 'end');
  const answer = dechunkedBytes(Buffer.concat(parts));
  assert.equal(digest(answer), digest(body));
});

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The body of a chunked response. */
function dechunkedBytes(answer: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = answer.indexOf('\r\n\r\n') + 4;
  for (;;) {
    const line = answer.indexOf('\r\n', at);
    const size = Number.parseInt(answer.toString('latin1', at, line), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(answer.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}

test('a slow handshake completes during shutdown, and the request after it is answered', async (t) => {
  const { edge, port, cert } = await startTls(t, { timeouts: { closeMs: 2000, shutdownMs: 20_000 } });
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  // A long distance: the edge's bytes arrive later.
  const heard = Promise.withResolvers<void>();
  const relay = createTcpServer((near) => {
    const far = connectTcp(port, '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.on('data', (bytes) => {
      heard.resolve();
      setTimeout(() => near.write(bytes), 400);
    });
    far.on('close', () => setTimeout(() => near.destroy(), 400));
  });
  const at = await listen(relay);
  t.after(() => relay.close());
  const socket = connect({ host: '127.0.0.1', port: at, ca: cert, servername: 'app.test' });
  t.after(() => socket.destroy());
  const ended = untilEnd(socket);
  socket.once('secureConnect', () => socket.write(`GET / ${HEAD}\r\n`));
  await heard.promise;
  await edge.proxy.close();
  assert.equal(upstream.wires.length, 1, 'a process would have ended by now');
  assert.match((await ended).text, /^HTTP\/1.1 200 [^]*ok$/);
});
