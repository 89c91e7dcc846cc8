/** Fields that announce trailers where a message cannot have any: node:http throws when it writes them. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { ask, reply, startHttp2Edge } from './h2-harness.ts';
import { answering, entryFor, fields, HEAD, listen, OK, scriptedUpstream, startEdge, testBoth } from './harness.ts';

const REQUESTS: readonly (readonly [name: string, request: string])[] = [
  ['without a body', `GET /x ${HEAD}Trailer: x-sum\r\n\r\n`],
  ['with a length', `POST /x ${HEAD}Trailer: x-sum\r\nContent-Length: 1\r\n\r\na`],
  ['with an expectation', `POST /x ${HEAD}Expect: 100-continue\r\nTrailer: x-sum\r\nContent-Length: 1\r\n\r\na`],
];

for (const [name, request] of REQUESTS) {
  testBoth(`a request that announces trailers ${name} is served without the announcement`, async (t) => {
    const upstream = await scriptedUpstream(t, answering(OK));
    const edge = await startEdge(t);
    await edge.proxy.table.flip({ entry: entryFor(upstream.port), expectedGeneration: 0 });
    await (await edge.send(request)).sees('ok');
    assert.equal(fields(await upstream.wire(0)).has('trailer'), false);
    await (await edge.send(`GET / ${HEAD}\r\n`)).sees('ok');
  });
}

test('a request over HTTP/2 that announces trailers is served through the general engine, too', async (t) => {
  const edge = await startHttp2Edge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.plane.put(entryFor(upstream.port));
  const session = await edge.connect();
  for (const length of [{}, { 'content-length': '1' }]) {
    const asked = { ':method': 'POST', expect: '100-continue', trailer: 'x-sum', ...length };
    const body = 'content-length' in length ? 'a' : undefined;
    assert.equal((await ask(session, asked, body)).status, 200);
  }
  assert.equal((await ask(session, { ':authority': 'nobody.test', expect: '100-continue', trailer: 'x' })).status, 404);
});

/** An app that speaks HTTP/2; its compression setting selects the general engine. */
async function h2cApp(t: TestContext, answer: (stream: ServerHttp2Stream) => void): Promise<number> {
  const server = createServer().on('stream', (stream) => {
    stream.on('error', () => undefined).resume();
    answer(stream);
  });
  t.after(() => server.close());
  return listen(server);
}

const edgeOf = (changes: Partial<EdgeSettings> = {}): EdgeSettings =>
  EdgeSettings.parse({ appProtocol: 'h2c', ...changes });

test('an HTTP/2 app that announces trailers for a response without chunks is served', async (t) => {
  const port = await h2cApp(t, (stream) => {
    stream.respond({ ':status': 200, 'content-length': '2', trailer: 'x-sum' });
    stream.end('ok');
  });
  const edge = await startEdge(t);
  await edge.proxy.table.flip({ entry: entryFor(port, { edge: edgeOf() }), expectedGeneration: 0 });
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 200 (?!.*trailer).*ok$/is);
  await (await edge.send(`HEAD / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 200 /);
});

test('client trailers that node refuses to send to an app abort only that request', async (t) => {
  const port = await h2cApp(
    t,
    (stream) => void stream.on('end', () => stream.respond({ ':status': 200 }, { endStream: true })),
  );
  const edge = await startEdge(t);
  await edge.proxy.table.flip({ entry: entryFor(port, { edge: edgeOf() }), expectedGeneration: 0 });
  const chunked = `POST / ${HEAD}Trailer: etag\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n`;
  await (await edge.send(`${chunked}HTTP2-Settings: x\r\n\r\n`)).sees(/^HTTP\/1.1 200 /);
  await (await edge.send(`${chunked}ETag: "1"\r\nETag: "2"\r\n\r\n`)).sees(/^HTTP\/1.1 /);
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 200 /);
});

test('trailers that a client announces and sends after a chunked body arrive', async (t) => {
  const edge = await startHttp2Edge(t);
  const port = await h2cApp(t, (stream) => {
    stream.on('trailers', (came) =>
      stream.respond({ ':status': 200, 'x-came': String(came['x-sum']) }, { endStream: true }),
    );
  });
  edge.plane.put(entryFor(port, { edge: edgeOf() }));
  const session = await edge.connect();
  const asked = { ':method': 'POST', ':authority': 'app.test', ':path': '/', trailer: 'x-sum' };
  const stream = session.request(asked, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
  stream.end('a');
  assert.equal((await reply(stream)).headers['x-came'], '42');
});
