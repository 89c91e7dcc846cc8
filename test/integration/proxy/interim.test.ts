/** Interim responses (1xx): every client that knows them gets all of them, whichever engine serves it. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { ask, startHttp2Edge } from './h2-harness.ts';
import {
  answering,
  entryFor,
  eventually,
  HEAD,
  listen,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  testBoth,
} from './harness.ts';
import type { Edge } from './harness.ts';

const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n';

/** An app that speaks HTTP/2, and sends its interim responses before each 200. */
async function h2cApp(
  t: TestContext,
  interim: readonly Readonly<Record<string, string | number>>[],
  server = createServer(),
): Promise<number> {
  server.on('stream', (stream) => {
    stream.on('error', () => undefined).resume();
    for (const fields of interim) stream.additionalHeaders(fields);
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  t.after(() => server.close());
  return listen(server);
}

const ofH2c = (port: number) => entryFor(port, { edge: EdgeSettings.parse({ appProtocol: 'h2c' }) });

async function asked(edge: Edge): Promise<string> {
  const client = await edge.send(`GET / ${HEAD}Connection: close\r\n\r\n`);
  await client.end();
  return client.received;
}

testBoth('each interim response is passed on when it comes, with all its fields', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  const sent = [
    '102 Processing\r\nX-Step: 1\r\nX-Step: 2',
    '103 Early Hints\r\nLink: </a.css>; rel=preload, </b.js>; rel=preload\r\nLink: not a link\r\nETag: "a"',
    '102 Processing',
  ].map((head) => `HTTP/1.1 ${head}\r\n\r\n`);
  for (const [index, one] of sent.entries()) {
    wire.send(one);
    await eventually(`number ${index}`, () => client.received === sent.slice(0, index + 1).join(''));
  }
  wire.send(`HTTP/1.1 199 Unknown\r\nX-Kept: 1\r\n\r\n${OK}`);
  await client.sees(/HTTP\/1.1 102 Processing\r\n\r\nHTTP\/1.1 199 .*\r\nX-Kept: 1\r\n\r\nHTTP\/1.1 200 OK\r\n.*ok$/s);
});

testBoth(
  'an interim response loses what concerns its connection, and a 100 is for those who wait for it',
  async (t) => {
    const edge = await startEdge(t);
    const connection = 'Connection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=1\r\nUpgrade: h2c\r\n';
    const interim = [
      `HTTP/1.1 103 Early Hints\r\n${connection}Content-Length: 5\r\nX-Kept: 1\r\n\r\n`,
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n',
    ];
    const upstream = await scriptedUpstream(t, answering(interim.join('') + OK));
    await route(edge, upstream.port);
    const kept = 'HTTP/1.1 103 Early Hints\r\nX-Kept: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n';
    assert.ok((await asked(edge)).startsWith(`${kept}HTTP/1.1 200 OK\r\n`), await asked(edge));
  },
);

testBoth('an HTTP/1.0 client gets no interim response', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(HINTS + OK));
  await route(edge, upstream.port);
  const client = await edge.send('GET / HTTP/1.0\r\nHost: app.test\r\n\r\n');
  await client.sees(/^HTTP\/1.1 200 .*ok$/s);
});

testBoth('the interim responses of an HTTP/2 app are passed on, too', async (t) => {
  const edge = await startEdge(t);
  const links = '</a.css>; rel=preload, </b.js>; rel=preload';
  const port = await h2cApp(t, [
    { ':status': 102, 'x-step': '1' },
    { ':status': 103, link: links, 'x-kept': '1' },
  ]);
  await edge.proxy.table.flip({ entry: ofH2c(port), expectedGeneration: 0 });
  const hints = `HTTP/1.1 103 Early Hints\r\nlink: ${links}\r\nx-kept: 1\r\n\r\n`;
  const got = await asked(edge);
  assert.ok(got.startsWith(`HTTP/1.1 102 Processing\r\nx-step: 1\r\n\r\n${hints}HTTP/1.1 200 OK\r\n`), got);
});

test('an HTTP/2 client gets them from its own engine, from the general one, and from an HTTP/2 app', async (t) => {
  const edge = await startHttp2Edge(t);
  const hints = 'Link: </a.css>; rel=preload\r\nConnection: X-No\r\nX-No: no\r\nContent-Length: 5\r\nX-Kept: 2\r\n';
  const interim = `HTTP/1.1 102 Processing\r\nX-Kept: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n${hints}\r\n`;
  const app = await scriptedUpstream(t, answering(`HTTP/1.1 100 Continue\r\n\r\n${interim}${OK}`));
  const h2c = await h2cApp(t, [
    { ':status': 102, 'x-kept': '1' },
    { ':status': 103, link: '</a.css>; rel=preload', 'x-kept': '2' },
  ]);
  const session = await edge.connect();
  for (const [entry, engine] of [
    [entryFor(app.port), 'h2'],
    [entryFor(app.port, { edge: EdgeSettings.parse({ compression: true }) }), 'general'],
    [ofH2c(h2c), 'h2'],
  ] as const) {
    edge.seen.length = 0;
    edge.plane.put(entry);
    const { informed, text } = await ask(session, {});
    assert.deepEqual(
      informed.map((fields) => Object.fromEntries(Object.entries(fields))),
      [
        { ':status': '102', 'x-kept': '1' },
        { ':status': '103', link: '</a.css>; rel=preload', 'x-kept': '2' },
      ],
    );
    assert.equal(text, 'ok');
    await eventually('the observer hears of it', () => edge.seen.length === 1);
    assert.equal(edge.seen[0]?.engine, engine);
  }
});

testBoth('an interim response with Connection: close yields 502', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(`HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${OK}`));
  await route(edge, upstream.port);
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/HTTP\/1.1 502 (?!.* 200 )/s);
});

testBoth('an app that sends interim responses endlessly yields 502', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(HINTS.repeat(50)));
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  await client.sees(/HTTP\/1.1 502 .*ORK_APP_UNREACHABLE/s);
  assert.equal(client.received.split(HINTS).length, 21);
  await (await upstream.wire(0)).end();
});

test('an HTTP/2 app that sends interim responses endlessly yields 502, and its connection can still end', async (t) => {
  const edge = await startHttp2Edge(t);
  const sessions: ServerHttp2Session[] = [];
  const app = createServer().on('session', (session) => void sessions.push(session));
  const interim = Array.from({ length: 50 }, () => ({ ':status': 102 }));
  edge.plane.put(ofH2c(await h2cApp(t, interim, app)));
  const { status, informed } = await ask(await edge.connect(), {});
  assert.deepEqual([status, informed.length], [502, 20]);
  void edge.front.close();
  await eventually('the connection to end', () => sessions.every(({ destroyed }) => destroyed));
});
