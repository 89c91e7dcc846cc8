/** How the listener treats good, odd and hostile requests. */
import assert from 'node:assert/strict';
import {
  answering,
  dechunked,
  entryFor,
  eventually,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  testBoth,
  uuid,
  viewOf,
} from './harness.ts';

const REFUSED: readonly (readonly [name: string, request: string, status: RegExp])[] = [
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1.1 400 /],
  ['no Host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', /^HTTP\/1.1 400 /],
  ['two Hosts', `GET / ${HEAD}Host: app.test\r\n\r\n`, /^HTTP\/1.1 400 /],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a Host with a user', 'GET / HTTP/1.1\r\nHost: x@app.test\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: app.test/x\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a list of Hosts', 'GET / HTTP/1.1\r\nHost: app.test, other.test\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a Host with an invalid port', 'GET / HTTP/1.1\r\nHost: app.test:80x\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a Host in raw UTF-8', 'GET / HTTP/1.1\r\nHost: \xc3\xa4pp.test\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a longer unknown host', 'GET / HTTP/1.1\r\nHost: xapp.test\r\n\r\n', /^HTTP\/1.1 404 /],
  ['a host that ends like a known one', 'GET / HTTP/1.1\r\nHost: evil.app.test\r\n\r\n', /^HTTP\/1.1 404 /],
  ['a host that begins like a known one', 'GET / HTTP/1.1\r\nHost: app.test.evil\r\n\r\n', /^HTTP\/1.1 404 /],
  ['an address as host', 'GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n', /^HTTP\/1.1 404 /],
  ['an IPv6 address as host', 'GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n', /^HTTP\/1.1 404 /],
  ['absolute form of another host', `GET http://other.test/ ${HEAD}\r\n`, /^HTTP\/1.1 400 /],
  ['absolute form with a user', `GET http://u@app.test/ ${HEAD}\r\n`, /^HTTP\/1.1 400 /],
  ['absolute form of another scheme', `GET ftp://app.test/ ${HEAD}\r\n`, /^HTTP\/1.1 400 /],
  ['an asterisk', `OPTIONS * ${HEAD}\r\n`, /^HTTP\/1.1 400 /],
  ['a path without a slash', `GET x ${HEAD}\r\n`, /^HTTP\/1.1 400 /],
  ['a fragment', `GET /a#b ${HEAD}\r\n`, /^HTTP\/1.1 400 /],
  ['CONNECT', 'CONNECT app.test:443 HTTP/1.1\r\nHost: app.test\r\n\r\n', /^HTTP\/1.1 405 /],
  ['TRACE', `TRACE / ${HEAD}\r\n`, /^HTTP\/1.1 405 /],
  ['a made-up method', `SMUGGLE / ${HEAD}\r\n`, /^HTTP\/1.1 400 /],
  ['HTTP/2 prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1.1 (400|505) /],
  [
    'Content-Length and chunks',
    `POST / ${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  [
    'chunks and Content-Length',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  ['two lengths', `POST / ${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, /^HTTP\/1.1 400 /],
  ['a list of lengths', `POST / ${HEAD}Content-Length: 1, 1\r\n\r\na`, /^HTTP\/1.1 400 /],
  ['a signed length', `POST / ${HEAD}Content-Length: +1\r\n\r\na`, /^HTTP\/1.1 400 /],
  ['a hexadecimal length', `POST / ${HEAD}Content-Length: 0x1\r\n\r\na`, /^HTTP\/1.1 400 /],
  ['an empty length', `POST / ${HEAD}Content-Length: \r\n\r\n`, /^HTTP\/1.1 400 /],
  [
    'another coding before chunked',
    `POST / ${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1.1 501 /,
  ],
  [
    'an empty coding before chunked',
    `POST / ${HEAD}Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1.1 (400|501) /,
  ],
  [
    'chunked twice',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1.1 (400|501) /,
  ],
  [
    'another coding after chunked',
    `POST / ${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1.1 (400|501) /,
  ],
  ['only another coding', `POST / ${HEAD}Transfer-Encoding: identity\r\n\r\n`, /^HTTP\/1.1 (400|501) /],
  [
    'chunks in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    /^HTTP\/1.1 400 /,
  ],
  ['a bad chunk size', `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, /^HTTP\/1.1 400 /],
  [
    'a chunk without its CRLF',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  [
    'a bare LF after a chunk size',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  [
    'a bare LF in a chunk extension',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1;a\na\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  [
    'a bare CR in a chunk extension',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1;a="\r"\r\na\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  [
    'a space before a chunk extension',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1 ;a\r\na\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  [
    'a chunk extension of more than 16 KiB',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(17_000)}\r\na\r\n0\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  [
    'a length among trailers',
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n`,
    /^HTTP\/1.1 400 /,
  ],
  ['a bare LF in the request line', 'GET / HTTP/1.1\nHost: app.test\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a bare LF in a field', `GET / ${HEAD}A: b\nC: d\r\n\r\n`, /^HTTP\/1.1 400 /],
  ['a bare CR in a field', `GET / ${HEAD}A: b\rC: d\r\n\r\n`, /^HTTP\/1.1 400 /],
  ['a folded field', `GET / ${HEAD}A: b\r\n c\r\n\r\n`, /^HTTP\/1.1 400 /],
  ['a space before the colon', `GET / ${HEAD}A : b\r\n\r\n`, /^HTTP\/1.1 400 /],
  ['a space before the first field', 'GET / HTTP/1.1\r\n Host: app.test\r\n\r\n', /^HTTP\/1.1 400 /],
  ['a field without a name', `GET / ${HEAD}: b\r\n\r\n`, /^HTTP\/1.1 400 /],
  ['a NUL in a field', `GET / ${HEAD}A: b\0c\r\n\r\n`, /^HTTP\/1.1 400 /],
  ['bytes that are not HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^HTTP\/1.1 400 /],
  [
    'an upgrade with a body',
    `GET / ${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc`,
    /^HTTP\/1.1 400 /,
  ],
  ['a head of more than 16 KiB', `GET / ${HEAD}A: ${'a'.repeat(17_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
  ['a request line of more than 16 KiB', `GET /${'a'.repeat(17_000)} ${HEAD}\r\n`, /^HTTP\/1.1 431 /],
  ['more than 100 fields', `GET / ${HEAD}${'A: b\r\n'.repeat(100)}\r\n`, /^HTTP\/1.1 431 /],
];

for (const [name, request, status] of REFUSED) {
  testBoth(`refused: ${name}`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, answering(OK));
    await route(edge, upstream.port);
    const client = await edge.send(request);
    await client.sees(status);
    if (!status.source.includes('404')) await client.end();
    // After the connection's end nothing more can arrive. A body refused late may have begun to flow, but never ends.
    for (const wire of upstream.wires) assert.doesNotMatch(wire.received, /\r\n0\r\n\r\n$/, 'a whole request passed');
    assert.ok(viewOf(edge)?.targets[0]?.requests.served === 0);
  });
}

testBoth('100 fields and raw bytes in values pass', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  await (await edge.send(`GET / ${HEAD}X-Raw: \xc3\xa4\r\n${'A: b\r\n'.repeat(98)}\r\n`)).sees(/ok$/);
  assert.match(upstream.wires[0]?.received ?? '', /x-raw: \xc3\xa4\r\n/i);
});

testBoth('chunk extensions are removed: the app gets chunks without any', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => wire.received.endsWith('\r\n0\r\n\r\n') && wire.send(OK));
  });
  await route(edge, upstream.port);
  const chunks = '2;a\r\nbo\r\n1;a=b;c="d;\\"e"\r\nd\r\n1;a=""\r\ny\r\n0;last\r\n\r\n';
  const client = await edge.send(`POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunks}`);
  await client.sees(/ok$/);
  const { received } = await upstream.wire(0);
  const [, body = ''] = received.split('\r\n\r\n', 2);
  assert.equal(dechunked(received.slice(received.indexOf(body))).body, 'body');
  assert.doesNotMatch(body, /;/);
});

testBoth('targets pass unchanged, whatever they look like', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const client = await edge.connect();
  const targets = [
    '//a//b',
    '/a/../b/./c',
    '/%2e%2e/%2F',
    '/a;..;/b',
    '/?q=http://x//y',
    '/a?b?c',
    '/\\',
    "/'{}|^`",
    '/%zz',
  ];
  for (const [index, target] of targets.entries()) {
    client.send(`GET ${target} ${HEAD}\r\n`);
    await eventually(`answer ${index}`, () => client.received.split('\r\n\r\nok').length === index + 2);
  }
  const seen = upstream.wires.flatMap((wire) => [...wire.received.matchAll(/GET (\S+) HTTP/g)].map((m) => m[1]));
  assert.deepEqual(seen, targets);
});

testBoth('absolute form becomes origin form', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  for (const [target, origin] of [
    ['http://APP.test:80/a//b?c', '/a//b?c'],
    ['HTTP://app.test', '/'],
    ['http://app.test?x=1', '/?x=1'],
  ]) {
    await (await edge.send(`GET ${target} ${HEAD}Connection: close\r\n\r\n`)).sees(/ok$/);
    assert.ok(
      upstream.wires.some((wire) => wire.received.includes(`GET ${origin} HTTP/1.1\r\n`)),
      origin,
    );
  }
});

testBoth('a path prefix selects among the upstreams of one host', async (t) => {
  const edge = await startEdge(t);
  const [site, api] = [
    await scriptedUpstream(t, answering(OK.replace('ok', 'si'))),
    await scriptedUpstream(t, answering(OK.replace('ok', 'ap'))),
  ];
  await route(edge, site.port);
  const routes = [{ host: 'app.test', pathPrefix: '/api' }];
  const targets = [{ id: uuid(1002), address: '127.0.0.1', port: api.port }];
  await edge.proxy.table.flip({ entry: entryFor(0, { id: uuid(2), routes, targets }), expectedGeneration: 0 });
  for (const [path, answer] of [
    ['/', /si$/],
    ['/api', /ap$/],
    ['/api/x?y', /ap$/],
    ['/api?y', /ap$/],
    ['/apix', /si$/],
  ] as const) {
    await (await edge.send(`GET ${path} ${HEAD}\r\n`)).sees(answer);
  }
});

testBoth('pipelined requests are answered in order, and garbage after them only after them', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', (text) => {
      const [, path] = /GET \/(\d) /.exec(String(text)) ?? [];
      // The first takes longer than the second.
      if (path !== undefined) setTimeout(() => wire.send(OK.replace('ok', `a${path}`)), path === '1' ? 50 : 0);
    });
  });
  await route(edge, upstream.port);
  const client = await edge.send(`GET /1 ${HEAD}\r\nGET /2 ${HEAD}\r\nGARBAGE\r\n\r\n`);
  await client.sees(/^HTTP\/1.1 200 .*a1HTTP\/1.1 200 .*a2HTTP\/1.1 400 .*ORK_INVALID\n$/s);
  await client.end();
});

testBoth('a head that does not arrive in time gets 408, and a silent connection is closed', async (t) => {
  const edge = await startEdge(t, { timeouts: { clientHeadMs: 100 } });
  const [slow, silent] = [await edge.send(`GET / HTTP/1.1\r\nHos`), await edge.connect()];
  await slow.sees(/^HTTP\/1.1 408 /);
  await slow.end();
  await silent.end();
});

testBoth(
  'the error page is HTML for clients that accept it, text for all others, and has no body for HEAD',
  async (t) => {
    const edge = await startEdge(t);
    const html = await edge.send('GET / HTTP/1.1\r\nHost: x.test\r\nAccept: text/html,*/*;q=0.8\r\n\r\n');
    await html.sees(/^HTTP\/1.1 404 .*Content-Type: text\/html.*<!doctype html>.*ORK_HOST_UNKNOWN/s);
    const text = await edge.send('GET / HTTP/1.1\r\nHost: x.test\r\nAccept: */*\r\n\r\n');
    await text.sees(/^HTTP\/1.1 404 .*Content-Type: text\/plain.*ORK_HOST_UNKNOWN\n$/s);
    const head = await edge.send('HEAD / HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n');
    await head.end();
    assert.match(head.received, /^HTTP\/1.1 404 .*\r\n\r\n$/s);
  },
);

testBoth('a POST to an unknown host is answered, and its connection can be reused', async (t) => {
  const edge = await startEdge(t);
  const client = await edge.send('POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 5\r\n\r\nab');
  await client.sees(/404 .*UNKNOWN\n$/s);
  client.send('cdeGET / HTTP/1.1\r\nHost: y.test\r\n\r\n');
  await client.sees(/404 .*404 .*UNKNOWN\n$/s);
});
