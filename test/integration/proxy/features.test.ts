/** What a route can ask for besides forwarding requests, whichever engine its connections start in. */
import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { PASSWORD_COST } from '../../../protocol/edge.ts';
import { startServing } from './engine-harness.ts';
import {
  answering,
  engineOf,
  eventually,
  HEAD,
  OK,
  scriptedUpstream,
  SWITCH,
  testBoth,
  UPGRADE_FIELDS,
} from './harness.ts';

function passwordHash(password: string): string {
  const salt = Buffer.alloc(16, 7);
  return `scrypt:${salt.toString('base64')}:${scryptSync(password, salt, 32, PASSWORD_COST).toString('base64')}`;
}

const USERS = [{ user: 'ada', password: passwordHash('secret') }];
const basic = (pair: string): string => `Authorization: Basic ${Buffer.from(pair).toString('base64')}\r\n`;

testBoth('a redirect is answered without the app, and only an unread body closes the connection', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.serve(upstream.port, { https: 'only' });
  const client = await edge.send(`GET /a?b=1 ${HEAD}\r\n`);
  await client.sees(/^HTTP\/1.1 301 .*Location: https:\/\/app.test\/a\?b=1\r\n.*\r\n\r\n$/s);
  // The request after it is no longer handled.
  client.send(`POST /c ${HEAD}Content-Length: 3\r\n\r\nabcGET /d ${HEAD}\r\n`);
  await client.sees(/HTTP\/1.1 308 .*Location: https:\/\/app.test\/c\r\n.*Connection: close/s);
  assert.equal(await client.end(), 'fin');
  assert.equal(upstream.wires.length, 0);
  await eventually('both were told of', () => edge.seen.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(edge.seen.length, 2);
  for (const [index, status] of [301, 308].entries()) {
    const { outcome, routed, claimed } = edge.seen[index] ?? {};
    assert.deepEqual({ outcome, routed, claimed }, { outcome: 'served', routed: true, claimed: false });
    assert.equal(edge.seen[index]?.status, status);
  }
});

testBoth('basic auth is required, and its credentials are not passed to the app', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.serve(upstream.port, { basicAuth: USERS });
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  await client.sees(/^HTTP\/1.1 401 .*WWW-Authenticate: Basic realm="restricted"/s);
  client.send(`GET / ${HEAD}${basic('ada:wrong')}\r\n`);
  await client.sees(/401 .*401 .*UNAUTHENTICATED\n$/s);
  // Two at once: both wait for the same check, and are answered in order.
  client.send(`GET /1 ${HEAD}${basic('ada:secret')}X-Kept: 1\r\n\r\nGET /2 ${HEAD}${basic('ada:secret')}\r\n`);
  await client.sees(/200 OK.*200 OK.*ok$/s);
  assert.match(upstream.wires[0]?.received ?? '', /^GET \/1 .*x-kept: 1.*GET \/2 /is);
  assert.doesNotMatch(upstream.wires[0]?.received ?? '', /authorization/i);
  assert.deepEqual(
    edge.seen.map(({ status, engine }) => [status, engine]),
    [401, 401, 200, 200].map((status) => [status, 'general']),
  );
});

testBoth('a client that leaves during its password check is counted once, and sends nothing to the app', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t);
  edge.serve(upstream.port, { basicAuth: USERS });
  const client = await edge.send(`GET /left ${HEAD}${basic('ada:secret')}\r\n`);
  client.socket.resetAndDestroy();
  const upgrade = await edge.send(`GET /ws ${HEAD}${basic('ada:secret')}${UPGRADE_FIELDS}`);
  (await upstream.wire(0)).send(SWITCH);
  await upgrade.sees('101');
  await eventually('it was told of', () => edge.seen.length > 0);
  assert.deepEqual(edge.seen.map(({ target, outcome }) => [target, outcome])[0], ['/left', 'abandoned']);
  assert.equal(upstream.wires.length, 1);
  assert.doesNotMatch(upstream.wires[0]?.received ?? '', /left/);
});

testBoth(
  "a CA's challenge is answered for any host and before any policy; other tokens are passed to the app",
  async (t) => {
    const edge = await startServing(t, { challenges: new Map([['token-1', 'token-1.thumb']]) });
    const upstream = await scriptedUpstream(t, answering(OK));
    edge.serve(upstream.port, { https: 'only', allowFrom: ['192.0.2.1'] });
    for (const host of ['app.test', 'new.test']) {
      const client = await edge.send(`GET /.well-known/acme-challenge/token-1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.sees(/^HTTP\/1.1 200 OK\r\n.*Content-Type: text\/plain\r\n.*\r\n\r\ntoken-1.thumb$/s);
    }
    edge.serve(upstream.port);
    const other = await edge.send(`GET /.well-known/acme-challenge/token-2 ${HEAD}\r\n`);
    await other.sees(/ok$/);
    assert.deepEqual(
      edge.seen.map(({ status, routed }) => [status, routed]),
      [
        [200, false],
        [200, false],
        [200, true],
      ],
    );
  },
);

testBoth('forwarded client addresses are accepted only from a trusted sender', async (t) => {
  const claims = 'X-Forwarded-For: 203.0.113.9, 10.1.2.3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n';
  for (const [trusted, address, scheme] of [
    [['127.0.0.0/8', '10.0.0.0/8'], '203.0.113.9', 'https'],
    [['10.0.0.0/8'], '127.0.0.1', 'http'],
  ] as const) {
    const edge = await startServing(t, { trusted });
    const upstream = await scriptedUpstream(t, answering(OK));
    edge.serve(upstream.port);
    await (await edge.send(`GET / ${HEAD}${claims}\r\n`)).sees(/ok$/);
    const sent = upstream.wires[0]?.received ?? '';
    assert.match(sent, new RegExp(`x-forwarded-for: ${address}\r\n`, 'i'));
    assert.match(sent, new RegExp(`x-forwarded-proto: ${scheme}\r\n`, 'i'));
    assert.match(sent, /x-forwarded-host: app.test\r\n/i);
    const [{ clientAddress, secure } = {}] = edge.seen;
    assert.deepEqual({ clientAddress, secure }, { clientAddress: address, secure: scheme === 'https' });
  }
});

testBoth(
  'requests of several clients on one connection of a trusted sender keep their own client addresses',
  async (t) => {
    const edge = await startServing(t, { trusted: ['127.0.0.0/8'] });
    const upstream = await scriptedUpstream(t, answering(OK));
    edge.serve(upstream.port);
    const sender = await edge.connect();
    const clients = [
      ['203.0.113.1', 'https'],
      ['203.0.113.2', 'https'],
      ['203.0.113.2', 'http'],
      ['203.0.113.1', 'http'],
    ] as const;
    for (const [index, [address, scheme]] of clients.entries()) {
      sender.send(`GET /${index} ${HEAD}X-Forwarded-For: ${address}\r\nX-Forwarded-Proto: ${scheme}\r\n\r\n`);
      await eventually(`answer ${index}`, () => sender.received.split('ok').length === index + 2);
    }
    sender.send(`GET /last ${HEAD}\r\n`);
    await eventually('the last answer', () => edge.seen.length === clients.length + 1);
    const all = upstream.wires.map(({ received }) => received).join('');
    for (const [index, [address, scheme]] of clients.entries()) {
      const head = all.slice(all.indexOf(`GET /${index} `)).split('\r\n\r\n', 1)[0] ?? '';
      assert.match(head, new RegExp(`x-forwarded-for: ${address}(\r\n|$)`, 'i'));
      assert.match(head, new RegExp(`x-forwarded-proto: ${scheme}(\r\n|$)`, 'i'));
      assert.equal(head.match(/x-forwarded-for/gi)?.length, 1);
    }
    assert.deepEqual(
      edge.seen.map(({ clientAddress, secure }) => [clientAddress, secure ? 'https' : 'http']),
      [...clients, ['127.0.0.1', 'http']],
    );
    assert.deepEqual(
      new Set(edge.seen.map(({ engine }) => engine)),
      new Set([engineOf(t) === 'fast' ? 'fast' : 'general']),
    );
  },
);

testBoth('a stripped prefix is removed as whole segments, byte for byte, and named to the app', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.serve(upstream.port, {}, { routes: [{ host: 'app.test', pathPrefix: '/api', stripPrefix: true }] });
  const client = await edge.connect();
  for (const [sent, seen] of [
    ['/api/x', '/x'],
    ['/api', '/'],
    ['/api?a=/api/b', '/?a=/api/b'],
    ['/api/', '/'],
    ['/api//x/%2e%2e?q', '//x/%2e%2e?q'],
    ['/api/api', '/api'],
  ] as const) {
    client.received = '';
    client.send(`GET ${sent} ${HEAD}X-Forwarded-Prefix: /evil\r\n\r\n`);
    await client.sees(/ok$/);
    const last = upstream.wires[0]?.received.split('GET ').at(-1) ?? '';
    assert.ok(last.startsWith(`${seen} HTTP/1.1\r\n`), `${sent} became ${last.split('\r\n', 1)[0]}`);
    assert.match(last, /x-forwarded-prefix: \/api\r\n/i);
    assert.doesNotMatch(last, /evil/);
  }
  client.received = '';
  client.send(`GET /apix ${HEAD}\r\n`);
  await client.sees(/^HTTP\/1.1 404 /);
});

testBoth("an environment's own error page replaces ours for clients that accept HTML", async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t);
  await upstream.close();
  edge.serve(upstream.port, { errorPages: { '502': '<h1>Back soon</h1>' } });
  const browser = await edge.send(`GET / ${HEAD}Accept: text/html,*/*;q=0.8\r\n\r\n`);
  await browser.sees(/^HTTP\/1.1 502 .*Content-Type: text\/html.*<h1>Back soon<\/h1>$/s);
  const tool = await edge.send(`GET / ${HEAD}Accept: */*\r\n\r\n`);
  await tool.sees(/^HTTP\/1.1 502 .*Content-Type: text\/plain.*ORK_APP_UNREACHABLE\n$/s);
  await eventually('both to be told of', () => edge.seen.length === 2);
  const engine = engineOf(t) === 'fast' ? 'fast' : 'general';
  assert.ok(
    edge.seen.every((seen) => seen.engine === engine),
    'it changes no engine',
  );
});

testBoth('browsers get a page, tools get text, and 503 has Retry-After', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t);
  edge.serve(upstream.port, { maxConcurrent: 1 });
  await edge.send(`GET /long ${HEAD}\r\n`);
  await upstream.wire(0);
  for (const [accept, type] of [
    ['text/html,application/xhtml+xml', /text\/html; charset=utf-8\r\n.*<h1>503 /s],
    ['image/avif, application/xhtml+xml;q=0.9', /text\/html; charset=utf-8\r\n.*<h1>503 /s],
    ['image/avif,image/webp,*/*', /text\/plain; charset=utf-8\r\n.*503 Service/s],
    ['*/*', /text\/plain; charset=utf-8\r\n.*503 Service/s],
  ] as const) {
    const client = await edge.send(`GET / ${HEAD}Accept: ${accept}\r\n\r\n`);
    await client.sees(/ORK_APP_UNAVAILABLE/);
    assert.match(client.received, /^HTTP\/1.1 503 .*Retry-After: 1\r\n/s);
    assert.match(client.received, type);
  }
  assert.equal(upstream.wires.length, 1);
});

for (const [framing, answer] of [
  ['only an interim response', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['nothing', ''],
] as const) {
  testBoth(`an app that sends ${framing} within its route's time limit yields 504`, async (t) => {
    const edge = await startServing(t);
    const upstream = await scriptedUpstream(t, (wire) => void (answer && wire.send(answer)));
    edge.serve(upstream.port, { responseSeconds: 0.1 });
    await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 504 .*ORK_APP_TIMEOUT/s);
    await (await upstream.wire(0)).end();
    assert.equal(edge.seen[0]?.outcome, 'failed');
  });
}

for (const [framing, answer] of [
  ['the end of its connection', 'HTTP/1.0 200 OK\r\n\r\npart'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'],
] as const) {
  testBoth(`a response framed by ${framing} that stalls for its route's idle time is aborted`, async (t) => {
    const edge = await startServing(t);
    const upstream = await scriptedUpstream(t, answering(answer));
    edge.serve(upstream.port, { idleSeconds: 0.2 });
    const client = await edge.send(`GET / ${HEAD}\r\n`);
    await client.sees('part');
    await client.end();
    assert.doesNotMatch(client.received, /\r\n0\r\n\r\n$/);
    await (await upstream.wire(0)).end();
    assert.deepEqual(
      edge.seen.map(({ outcome }) => outcome),
      ['failed'],
    );
  });
}

testBoth("a silent WebSocket is ended after its route's idle time", async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, (wire) => wire.send(SWITCH));
  edge.serve(upstream.port, { idleSeconds: 0.2 });
  const client = await edge.send(`GET /ws ${HEAD}${UPGRADE_FIELDS}`);
  await client.sees('101');
  await client.end();
  await eventually('it was told of', () => edge.seen.length === 1);
  assert.equal(edge.seen[0]?.status, 101);
});

testBoth(
  'a chunked body above the limit gets 413, its connections end, and the client can read the page',
  async (t) => {
    const edge = await startServing(t);
    const upstream = await scriptedUpstream(t);
    edge.serve(upstream.port, { maxBodyBytes: 1000 });
    const client = await edge.send(`POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = `1f4\r\n${'x'.repeat(500)}\r\n`;
    client.send(chunk + chunk);
    // Data from one read may be forwarded as one chunk.
    await (await upstream.wire(0)).sees(/x{500}(?:\r\n1f4\r\n)?x{500}\r\n$/);
    for (let sent = 0; sent < 20; sent += 1) client.send(chunk);
    await client.sees(/^HTTP\/1.1 413 .*Connection: close.*ORK_TOO_LARGE\n$/s);
    assert.equal(await client.end(), 'fin');
    const wire = await upstream.wire(0);
    await wire.end();
    assert.doesNotMatch(wire.received, /\r\n0\r\n\r\n$/);
    assert.equal(edge.seen[0]?.status, 413);
    assert.equal(edge.seen[0].outcome, 'abandoned');
  },
);

testBoth('the app gets no complete request from a chunked body above the limit that arrives at once', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => wire.received.endsWith('\r\n0\r\n\r\n') && wire.send(OK));
  });
  edge.serve(upstream.port, { maxBodyBytes: 1000 });
  const whole = (bytes: number): string =>
    `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n0\r\n\r\n`;
  // Leaves a connection to the app open.
  await (await edge.send(whole(1000))).sees(/^HTTP\/1.1 200 /);
  const client = await edge.send(whole(30_000));
  await client.sees(/^HTTP\/1.1 413 .*Connection: close.*ORK_TOO_LARGE\n$/s);
  assert.equal(await client.end(), 'fin');
  for (const wire of upstream.wires) {
    await wire.end();
    assert.ok(!wire.received.includes('x'.repeat(1001)), `${wire.received.length} bytes went to the app`);
  }
});

testBoth(
  'a length above the limit gets 413 before the body is read, and a client that keeps sending can read it',
  async (t) => {
    const edge = await startServing(t);
    const upstream = await scriptedUpstream(t);
    edge.serve(upstream.port, { maxBodyBytes: 1000 });
    const client = await edge.connect();
    client.socket.pause();
    client.send(`POST / ${HEAD}Content-Length: 10000000\r\n\r\n`);
    await eventually('the answer', () => edge.seen.length === 1);
    client.send('x'.repeat(3_000_000));
    await eventually('the body to be taken', () => client.socket.writableLength === 0);
    client.socket.resume();
    await client.sees(/^HTTP\/1.1 413 .*Connection: close.*ORK_TOO_LARGE\n$/s);
    assert.equal(await client.end(), 'fin');
    assert.equal(upstream.wires.length, 0);
  },
);

testBoth('every request is reported once, with its outcome', async (t) => {
  const edge = await startServing(t, { timeouts: { clientHeadMs: 100 } });
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => {
      if (wire.received.includes('GET /ws')) wire.send(wire.received.endsWith('ping') ? 'pong' : SWITCH);
      else if (wire.received.includes('GET /lost')) wire.socket.destroy();
      else if (wire.received.endsWith('abc') || wire.received.includes('GET /a')) wire.send(OK);
    });
  });
  edge.serve(upstream.port);
  const cases: readonly (readonly [string, Partial<(typeof edge.seen)[number]>])[] = [
    [`GET /a ${HEAD}\r\n`, { status: 200, outcome: 'served', claimed: true, timed: true, bytesIn: 0, bytesOut: 2 }],
    [`POST /a ${HEAD}Content-Length: 3\r\n\r\nabc`, { status: 200, outcome: 'served', bytesIn: 3, bytesOut: 2 }],
    [`GET /lost ${HEAD}\r\n`, { status: 502, outcome: 'failed', claimed: true, timed: false }],
    ['GET /a HTTP/1.1\r\nHost: other.test\r\n\r\n', { status: 404, outcome: 'served', routed: false }],
    ['GET /a HTTP/1.1\r\n\r\n', { status: 400, routed: false, claimed: false }],
    ['rubbish\r\n\r\n', { status: 400, routed: false, method: '' }],
    [`GET / ${HEAD}A: ${'a'.repeat(17_000)}\r\n\r\n`, { status: 431, routed: false }],
    [`GET / ${HEAD}Expect: miracles\r\n\r\n`, { status: 417, routed: false, method: 'GET' }],
    [`CONNECT app.test:443 ${HEAD}\r\n`, { status: 405, routed: false }],
    ['GET / HTTP', { status: 408, routed: false }],
  ];
  for (const [index, [request, expected]] of cases.entries()) {
    const client = await edge.send(request);
    await client.sees(`HTTP/1.1 ${expected.status}`);
    await eventually(`told of ${request.slice(0, 20)}`, () => edge.seen.length === index + 1);
    const seen = edge.seen[index];
    assert.deepEqual({ ...seen, ...expected }, seen);
    client.socket.destroy();
  }
  const socket = await edge.send(`GET /ws ${HEAD}${UPGRADE_FIELDS}`);
  await socket.sees('101');
  socket.send('ping');
  await socket.sees('pong');
  assert.equal(edge.seen.length, cases.length);
  socket.socket.end();
  await eventually('the WebSocket to be told of', () => edge.seen.length === cases.length + 1);
  const { status, outcome, bytesIn, engine } = edge.seen.at(-1) ?? {};
  assert.deepEqual(
    { status, outcome, bytesIn, engine },
    { status: 101, outcome: 'served', bytesIn: 4, engine: engineOf(t) === 'fast' ? 'fast' : 'general' },
  );
  assert.equal(edge.seen[0]?.engine, engine);
});
