/** What bare http-proxy gets wrong, each on real sockets with scripted bytes at both ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  answering,
  counts,
  engineOf,
  eventually,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  testBoth,
} from './harness.ts';
import type { Wire } from './harness.ts';

const HEAD = 'HTTP/1.1\r\nHost: app.test\r\n';
const STUCK_LISTENER = fileURLToPath(new URL('stuck-listener.mjs', import.meta.url));
const HANDSHAKE = `GET /ws ${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n`;
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

/** The fields that an upstream saw, by lower-case name. @param from what its request begins with; the first, if not told */
function fields(wire: Wire, from = ''): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  for (const line of wire.received.slice(wire.received.indexOf(from)).split('\r\n\r\n', 1)[0]?.split('\r\n').slice(1) ??
    []) {
    const [name = '', value = ''] = line.split(/: ?(.*)/s);
    seen.set(name.toLowerCase(), [...(seen.get(name.toLowerCase()) ?? []), value]);
  }
  return seen;
}

for (const method of ['DELETE', 'OPTIONS', 'GET', 'POST', 'PUT', 'PATCH']) {
  testBoth(`a chunked ${method} keeps its framing, so that its body is no request of its own`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t);
    await route(edge, upstream.port);
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n';
    const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
    const client = await edge.send(`${method} /a ${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
    const wire = await upstream.wire(0);
    await wire.sees(/0\r\n\r\n$/);
    assert.deepEqual(fields(wire).get('transfer-encoding'), ['chunked']);
    assert.equal(fields(wire).has('content-length'), false);
    assert.ok(wire.received.endsWith(chunk));
    wire.send(OK);
    await client.sees(/ok$/);
    assert.equal(upstream.wires.length, 1);
  });
}

testBoth('a DELETE with a Content-Length keeps it, and one without a body gets no framing', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  await (await edge.send(`DELETE /a ${HEAD}Content-Length: 3\r\n\r\nabc`)).sees(/ok$/);
  await (await edge.send(`DELETE /b ${HEAD}\r\n`)).sees(/ok$/);
  const first = await upstream.wire(0);
  // The fast engine takes the connection that was in use a moment ago.
  const second = engineOf(t) === 'fast' ? first : await upstream.wire(1);
  assert.deepEqual(fields(first).get('content-length'), ['3']);
  assert.match(first.received, /\r\n\r\nabc(?:DELETE \/b |$)/);
  assert.equal(fields(second, 'DELETE /b').has('content-length'), false);
  assert.equal(fields(second, 'DELETE /b').has('transfer-encoding'), false);
  assert.ok(second.received.endsWith('\r\n\r\n'));
});

testBoth('a client that resets while its upgrade is pending ends nothing but its own exchange', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  const wire = await upstream.wire(0);
  await wire.sees('upgrade: websocket');
  client.socket.resetAndDestroy();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
  const other = await edge.send(HANDSHAKE);
  (await upstream.wire(1)).send(SWITCH);
  await other.sees(/^HTTP\/1.1 101 /);
});

testBoth('a client that closes while its upgrade is pending frees the upstream connection', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  const wire = await upstream.wire(0);
  client.socket.end();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
});

testBoth('a client that resets right after the upgrade ends its tunnel on both sides', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  const wire = await upstream.wire(0);
  wire.send(SWITCH);
  await client.sees('101');
  client.socket.resetAndDestroy();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
});

for (const [when, sent] of [
  ['before the response', ''],
  ['in the middle of the response', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
] as const) {
  testBoth(`a client that leaves ${when} frees the upstream connection, and nobody has failed`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, (wire) => wire.send(sent));
    await route(edge, upstream.port);
    const client = await edge.send(`GET / ${HEAD}\r\n`);
    const wire = await upstream.wire(0);
    await wire.sees('\r\n\r\n');
    if (sent) await client.sees('abc');
    client.socket.destroy();
    await wire.end();
    await eventually('the claim to end', () => counts(edge).inFlight === 0);
    assert.deepEqual(counts(edge), { failed: 0, served: 0, targetFailed: 0, inFlight: 0 });
  });
}

testBoth('a client that leaves in the middle of its upload frees the upstream connection', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 100\r\n\r\nabc`);
  const wire = await upstream.wire(0);
  await wire.sees('abc');
  client.socket.resetAndDestroy();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
  assert.deepEqual(counts(edge), { failed: 0, served: 0, targetFailed: 0, inFlight: 0 });
});

for (const [framing, response] of [
  ['Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'],
] as const) {
  testBoth(`a response with ${framing} that breaks off is never passed on as a complete one`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t);
    await route(edge, upstream.port);
    const client = await edge.send(`GET / ${HEAD}\r\n`);
    const wire = await upstream.wire(0);
    await wire.sees('\r\n\r\n');
    wire.send(response);
    await client.sees('part');
    wire.socket.end();
    await client.end();
    assert.doesNotMatch(client.received, /\r\n0\r\n\r\n$/);
    assert.deepEqual(counts(edge), { failed: 0, served: 0, targetFailed: 1, inFlight: 0 });
  });

  testBoth(
    `an HTTP/1.0 client gets a reset, not a clean end, when a response with ${framing} breaks off`,
    async (t) => {
      const edge = await startEdge(t);
      const upstream = await scriptedUpstream(t);
      await route(edge, upstream.port);
      const client = await edge.send('GET / HTTP/1.0\r\nHost: app.test\r\n\r\n');
      const wire = await upstream.wire(0);
      await wire.sees('\r\n\r\n');
      wire.send(response);
      await client.sees('part');
      wire.socket.end();
      assert.equal(await client.end(), 'reset');
    },
  );
}

testBoth(
  'a reset of the upstream in the middle of a response that its close would end is no complete response',
  async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t);
    await route(edge, upstream.port);
    const client = await edge.send(`GET / ${HEAD}\r\n`);
    const wire = await upstream.wire(0);
    await wire.sees('\r\n\r\n');
    wire.send('HTTP/1.0 200 OK\r\n\r\npart');
    await client.sees('part');
    wire.socket.resetAndDestroy();
    await client.end();
    assert.doesNotMatch(client.received, /\r\n0\r\n\r\n$/);
  },
);

testBoth('hop-by-hop fields and those that Connection names stay on their own connection, both ways', async (t) => {
  const edge = await startEdge(t);
  const response =
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=1\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\nok';
  const upstream = await scriptedUpstream(t, answering(response));
  await route(edge, upstream.port);
  const client = await edge.send(
    `GET / ${HEAD}Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n`,
  );
  await client.sees(/ok$/);
  const seen = fields(await upstream.wire(0));
  for (const name of ['x-secret', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'te', 'upgrade']) {
    assert.equal(seen.has(name), false, name);
  }
  assert.deepEqual(seen.get('connection'), ['keep-alive']);
  assert.deepEqual(seen.get('x-kept'), ['1']);
  assert.doesNotMatch(client.received, /X-Inner|timeout=1\r|Proxy-Authenticate|Upgrade|h2c/i);
  assert.match(client.received, /X-Kept: 1/);
});

testBoth('Connection cannot take framing and routing fields away', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const names = 'close, Host, Content-Length, X-Forwarded-For, X-Forwarded-Host, X-Request-Id, Forwarded';
  await (await edge.send(`POST / ${HEAD}Connection: ${names}\r\nContent-Length: 3\r\n\r\nabc`)).sees(/ok$/s);
  const seen = fields(await upstream.wire(0));
  assert.deepEqual(seen.get('content-length'), ['3']);
  assert.deepEqual(seen.get('host'), ['app.test']);
  assert.deepEqual(seen.get('x-forwarded-for'), ['127.0.0.1']);
  assert.equal(seen.get('x-request-id')?.length, 1);
  await (
    await edge.send(`POST / ${HEAD}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`)
  ).sees(/ok$/s);
  assert.deepEqual(fields(await upstream.wire(1)).get('transfer-encoding'), ['chunked']);
});

testBoth('what a client says about its own origin is replaced, never trusted', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const claims =
    'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /x\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nProxy: http://evil\r\n';
  await (await edge.send(`GET / HTTP/1.1\r\nHost: App.Test:8080\r\n${claims}\r\n`)).sees(/ok$/);
  const seen = fields(await upstream.wire(0));
  assert.deepEqual(seen.get('x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(seen.get('x-forwarded-proto'), ['http']);
  assert.deepEqual(seen.get('x-forwarded-host'), ['App.Test:8080']);
  assert.deepEqual(seen.get('x-real-ip'), ['127.0.0.1']);
  assert.deepEqual(seen.get('forwarded'), ['for=127.0.0.1;host="App.Test:8080";proto=http']);
  assert.deepEqual(seen.get('host'), ['App.Test:8080']);
  for (const name of ['x-forwarded-port', 'x-forwarded-prefix', 'proxy']) assert.equal(seen.has(name), false, name);
});

testBoth('field names with an underscore are dropped, and others keep their repetition', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const odd = 'X_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\n__proto__: x\r\nconstructor: c\r\nX-A: 1\r\nX-A: 2\r\n';
  await (await edge.send(`GET / ${HEAD}${odd}Cookie: a=1\r\nCookie: b=2\r\n\r\n`)).sees(/ok$/);
  const seen = fields(await upstream.wire(0));
  for (const name of ['x_forwarded_for', 'content_length', '__proto__']) assert.equal(seen.has(name), false, name);
  assert.deepEqual(seen.get('x-a'), ['1', '2']);
  assert.deepEqual(seen.get('constructor'), ['c']);
  // As they came, or in one line: a server has to take both for the same.
  assert.deepEqual(seen.get('cookie'), engineOf(t) === 'fast' ? ['a=1', 'b=2'] : ['a=1; b=2']);
});

testBoth('a request id is made when there is none, kept when it is harmless, and replaced when not', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const client = await edge.connect();
  for (const line of ['', 'X-Request-Id: abc-1\r\n', 'X-Request-Id: a b"<\r\n'])
    client.send(`GET / ${HEAD}${line}\r\n`);
  await client.sees(/ok.*ok.*ok$/s);
  const ids = upstream.wires.flatMap((wire) => [...wire.received.matchAll(/x-request-id: (.*)\r\n/g)].map((m) => m[1]));
  assert.equal(ids.length, 3);
  assert.equal(new Set(ids).size, 3);
  assert.ok(ids.includes('abc-1'));
  assert.equal(ids.includes('a b"<'), false);
});

testBoth('Expect: 100-continue asks the app, whose 100 lets the body come', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees(/expect: 100-continue/i);
  assert.equal(client.received, '');
  wire.send('HTTP/1.1 100 Continue\r\n\r\n');
  await client.sees(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
  client.send('body');
  await wire.sees(/\r\n\r\nbody$/);
  wire.send(OK);
  await client.sees(/200 OK.*ok$/s);
});

testBoth(
  'an app that refuses instead of saying 100 has its answer passed, and the connection is not used again',
  async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(
      t,
      answering('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n'),
    );
    await route(edge, upstream.port);
    const client = await edge.send(`POST / ${HEAD}Expect: 100-continue\r\nContent-Length: 40\r\n\r\n`);
    await client.sees(/^HTTP\/1.1 413 .*Connection: close/s);
    await client.end();
    await eventually('the upstream connection to close', () => upstream.wires[0]?.ended !== null);
  },
);

testBoth('another expectation is answered 417', async (t) => {
  const edge = await startEdge(t);
  await (await edge.send(`GET / ${HEAD}Expect: miracles\r\n\r\n`)).sees(/^HTTP\/1.1 417 /);
});

testBoth('early hints are passed on before the response', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\n\r\n');
  await client.sees(/^HTTP\/1.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload; as=style\r\n\r\n$/);
  wire.send(`HTTP/1.1 103 Early Hints\r\nLink: not a link\r\n\r\n${OK}`);
  await client.sees(/HTTP\/1.1 200 OK.*ok$/s);
});

testBoth('HEAD, 204 and 304 have no body whatever their fields say, and the connection goes on', async (t) => {
  const edge = await startEdge(t);
  const answers = [
    'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
    'HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "x"\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    OK,
  ];
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => {
      wire.send(answers.shift() ?? '');
    });
  });
  await route(edge, upstream.port);
  const client = await edge.connect();
  for (const [index, method] of ['HEAD', 'GET', 'GET', 'HEAD', 'GET'].entries()) {
    client.send(`${method} /${index} ${HEAD}\r\n`);
    await eventually(`answer ${index}`, () => client.received.split('HTTP/1.1 ').length === index + 2);
  }
  await client.sees(/ok$/);
  const [head = '', none = '', notModified = ''] = client.received.split('HTTP/1.1 ').slice(1);
  assert.match(head, /Content-Length: 1000\r\n(?:.*\r\n)?\r\n$/s);
  assert.doesNotMatch(none, /Content-Length|Transfer-Encoding/i);
  assert.match(notModified, /ETag: "x"\r\n(?:.*\r\n)?\r\n$/s);
  assert.equal(counts(edge).served, 5);
});

testBoth('a response before the end of its request is passed on whole, and ends no request behind it', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire, index) => {
    if (index === 0) wire.socket.once('data', () => wire.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
    else answering(OK)(wire);
  });
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 1000003\r\n\r\nabc`);
  await client.sees(/403 Forbidden.*no$/s);
  // More than all buffers on the way hold.
  client.send(`${'d'.repeat(1_000_000)}GET /next ${HEAD}\r\n`);
  if (engineOf(t) === 'fast') {
    // It says that the connection is at its end, and ends it without a reset while the client still sends.
    assert.match(client.received, /\r\nConnection: close\r\n/);
    assert.equal(await client.end(), 'fin');
    assert.equal(upstream.wires.length, 1);
  } else {
    await client.sees(/200 OK.*ok$/s);
    assert.match(upstream.wires[1]?.received ?? '', /^GET \/next /);
  }
  await eventually('the first upstream connection to close', () => upstream.wires[0]?.ended !== null);
  assert.doesNotMatch(upstream.wires[0]?.received ?? '', /\/next/);
});

testBoth('a refused connection is 502, silence is 504, and both are counted', async (t) => {
  const edge = await startEdge(t, { timeouts: { responseHeadMs: 50 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const slow = await edge.send(`GET / ${HEAD}\r\n`);
  await slow.sees(/^HTTP\/1.1 504 .*ORK_APP_TIMEOUT/s);
  await (await upstream.wire(0)).end();
  await upstream.close();
  const down = await edge.send(`GET / ${HEAD}\r\n`);
  await down.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE/s);
  assert.deepEqual(counts(edge), { failed: 2, served: 0, targetFailed: 2, inFlight: 0 });
});

testBoth('a connect that nobody answers is 504', async (t) => {
  const stuck = spawn(process.execPath, [STUCK_LISTENER], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    stuck.kill('SIGKILL');
    await once(stuck, 'exit');
  });
  const port = Number(String((await once(stuck.stdout, 'data'))[0]));
  // Two connections fill its queue; what the kernel does with more is silence.
  const fillers = [createConnection(port, '127.0.0.1'), createConnection(port, '127.0.0.1')];
  for (const socket of fillers) socket.on('error', () => undefined);
  t.after(() => fillers.forEach((socket) => socket.destroy()));
  await Promise.all(fillers.map((socket) => once(socket, 'connect')));
  const edge = await startEdge(t, { timeouts: { connectMs: 50 } });
  await route(edge, port);
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 504 .*ORK_APP_TIMEOUT/s);
  await (await edge.send(`POST / ${HEAD}Content-Length: 3\r\n\r\nabc`)).sees(/^HTTP\/1.1 504 /);
  assert.deepEqual(counts(edge), { failed: 2, served: 0, targetFailed: 2, inFlight: 0 });
});

testBoth('a long upload is no silence of the app, and a client that stalls in it gets 408', async (t) => {
  const edge = await startEdge(t, { timeouts: { responseHeadMs: 500 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 100\r\n\r\n`);
  for (let sent = 0; sent < 60; sent += 1) {
    client.send('x');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(client.received, '');
  await client.sees(/^HTTP\/1.1 408 /);
  await client.end();
  assert.equal(counts(edge).failed, 0);
});

for (const [fault, response] of [
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  [
    'both Content-Length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
  ['an impossible status', 'HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nok'],
  ['a head beyond all limits', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['an unasked protocol switch', SWITCH],
] as const) {
  testBoth(`a response with ${fault} is 502`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, answering(response));
    await route(edge, upstream.port);
    const client = await edge.send(`GET / ${HEAD}\r\n`);
    await client.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE/s);
    await eventually('the upstream connection to close', () => upstream.wires.every((wire) => wire.ended !== null));
    assert.deepEqual(counts(edge), { failed: 1, served: 0, targetFailed: 1, inFlight: 0 });
  });
}

for (const [request, name] of [
  [`POST / ${HEAD}Content-Length: 3\r\n\r\nabc`, 'a POST'],
  [`POST / ${HEAD}Content-Length: 0\r\n\r\n`, 'a POST without body'],
  [`PUT / ${HEAD}Content-Length: 3\r\n\r\nabc`, 'a PUT'],
  [`DELETE / ${HEAD}\r\n`, 'a DELETE'],
  [`GET / ${HEAD}Content-Length: 3\r\n\r\nabc`, 'a GET with a body'],
] as const) {
  testBoth(`${name} is sent once, also when the app drops it`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, (wire) => {
      wire.socket.on('data', (bytes) => {
        if (String(bytes).startsWith('GET /warm')) wire.send(OK);
        else wire.socket.destroy();
      });
    });
    await route(edge, upstream.port);
    const client = await edge.send(`GET /warm ${HEAD}\r\n`);
    await client.sees(/ok$/);
    client.send(request);
    await client.sees(/HTTP\/1.1 502 /);
    // On a fresh connection; in the fast engine on one that was in use so lately that no app drops it for its age.
    assert.equal(upstream.wires.length, engineOf(t) === 'fast' ? 1 : 2);
    const heads = upstream.wires.reduce((sum, wire) => sum + wire.received.split(' HTTP/1.1\r\n').length - 1, 0);
    assert.equal(heads, 2);
    assert.deepEqual(counts(edge), { failed: 1, served: 1, targetFailed: 1, inFlight: 0 });
  });
}

test('a POST does not take a connection that was idle for more than a second, a GET does', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const client = await edge.send(`GET /warm ${HEAD}\r\n`);
  await client.sees(/ok$/);
  // The time is looked at every half second.
  await new Promise((resolve) => setTimeout(resolve, 1600));
  client.send(`POST / ${HEAD}Content-Length: 0\r\n\r\n`);
  await client.sees(/ok.*ok$/s);
  assert.equal(upstream.wires.length, 2);
  client.send(`GET /again ${HEAD}\r\n`);
  await client.sees(/ok.*ok.*ok$/s);
  assert.equal(upstream.wires.length, 2);
});

testBoth('a GET whose idle upstream connection closes under it is sent once more, on a fresh one', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire, index) => {
    if (index > 0) return answering(OK)(wire);
    return void wire.socket.once('data', () => {
      wire.send(OK);
      wire.socket.once('data', () => wire.socket.resetAndDestroy());
    });
  });
  await route(edge, upstream.port);
  const client = await edge.send(`GET /1 ${HEAD}\r\n`);
  await client.sees(/ok$/);
  client.send(`GET /2 ${HEAD}\r\n`);
  await client.sees(/ok.*200 OK.*ok$/s);
  assert.match(upstream.wires[0]?.received ?? '', /GET \/2 /);
  assert.match(upstream.wires[1]?.received ?? '', /^GET \/2 /);
  assert.deepEqual(counts(edge), { failed: 0, served: 2, targetFailed: 0, inFlight: 0 });
});

testBoth('a GET is not sent again when something of a response had come, nor a third time', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire, index) => {
    wire.socket.once('data', () => {
      if (index === 1) return void wire.socket.resetAndDestroy();
      wire.send(OK);
      return void wire.socket.once('data', () => {
        if (index === 0) return void wire.socket.resetAndDestroy();
        wire.send('HTTP/1.1 2');
        return void wire.socket.end();
      });
    });
  });
  await route(edge, upstream.port);
  const client = await edge.send(`GET /1 ${HEAD}\r\n`);
  await client.sees(/ok$/);
  client.send(`GET /twice ${HEAD}\r\n`);
  await client.sees(/502 Bad Gateway.*UNREACHABLE\n$/s);
  assert.equal(upstream.wires.length, 2);
  client.send(`GET /3 ${HEAD}\r\n`);
  await client.sees(/UNREACHABLE.*ok$/s);
  client.send(`GET /part ${HEAD}\r\n`);
  await client.sees(/ok.*UNREACHABLE.*ok.*UNREACHABLE\n$/s);
  assert.equal(upstream.wires.length, 3);
});

testBoth('the limit for idle upstream connections is none for responses, and closes what is idle', async (t) => {
  const edge = await startEdge(t, { timeouts: { poolIdleMs: 40 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 200));
  wire.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no');
  await new Promise((resolve) => setTimeout(resolve, 200));
  wire.send('k');
  await client.sees(/ok$/);
  await wire.end();
  assert.deepEqual(counts(edge), { failed: 0, served: 1, targetFailed: 0, inFlight: 0 });
});

testBoth('an upstream that closes idle connections at random costs no request', async (t) => {
  const edge = await startEdge(t);
  let requests = 0;
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => {
      requests += 1;
      wire.send(OK);
      if (requests % 3 === 0) setImmediate(() => wire.socket.end());
      if (requests % 7 === 0) setImmediate(() => wire.socket.destroy());
    });
  });
  await route(edge, upstream.port);
  const clients = await Promise.all(Array.from({ length: 8 }, () => edge.connect()));
  await Promise.all(
    clients.map(async (client) => {
      for (let sent = 1; sent <= 100; sent += 1) {
        client.send(`GET /${sent} ${HEAD}\r\n`);
        await eventually(`answer ${sent}`, () => client.received.split('\r\n\r\nok').length === sent + 1);
      }
    }),
  );
  assert.deepEqual(counts(edge), { failed: 0, served: 800, targetFailed: 0, inFlight: 0 });
});

testBoth('trailers pass both ways, without those that could change what was decided', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const trailers = 'X-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX_Y: 1\r\nAuthorization: x\r\n';
  const body = `Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\n${trailers}\r\n`;
  const client = await edge.send(`POST / ${HEAD}TE: trailers\r\nConnection: TE\r\n${body}`);
  const wire = await upstream.wire(0);
  await wire.sees(/3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  assert.match(wire.received, /te: trailers\r\n/);
  wire.send(`HTTP/1.1 200 OK\r\n${body}`);
  await client.sees(/3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n$/);
});

testBoth('events and uploads stream: each part arrives before the next is sent', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST /up ${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  for (const part of ['one', 'two']) {
    client.send(`3\r\n${part}\r\n`);
    await wire.sees(part);
  }
  client.send('0\r\n\r\n');
  await wire.sees(/0\r\n\r\n$/);
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
  await client.sees(/text\/event-stream\r\n.*\r\n\r\n$/s);
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    wire.send(`9\r\n${event}\r\n`);
    await client.sees(event);
  }
  wire.send('0\r\n\r\n');
  await client.sees(/0\r\n\r\n$/);
});

testBoth('a slow reader holds its app back instead of filling the memory of the proxy', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  client.socket.pause();
  const block = Buffer.alloc(1 << 20, 'x');
  wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${block.length * 64}\r\n\r\n`);
  for (let sent = 0; sent < 64; sent += 1) wire.socket.write(block);
  let before = -1;
  await eventually('the flow to stop', () => {
    const left = wire.socket.writableLength;
    const stopped = left === before;
    before = left;
    return stopped && left < block.length * 64;
  });
  assert.ok(wire.socket.writableLength > block.length * 32, `${wire.socket.writableLength} bytes are held back`);
  let length = 0;
  client.socket.on('data', (text) => {
    length += String(text).length;
  });
  client.socket.resume();
  await eventually('all of it', () => length >= block.length * 64);
});

testBoth(
  'a WebSocket carries bytes both ways, those sent too early too, and a FIN of one side ends both',
  async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t);
    await route(edge, upstream.port);
    const client = await edge.send(`${HANDSHAKE}early`);
    const wire = await upstream.wire(0);
    await wire.sees('\r\n\r\n');
    const seen = fields(wire);
    assert.deepEqual(seen.get('connection'), ['Upgrade']);
    assert.deepEqual(seen.get('upgrade'), ['websocket']);
    assert.deepEqual(seen.get('sec-websocket-version'), ['13']);
    wire.send(`${SWITCH}hello`);
    await client.sees(/^HTTP\/1.1 101 Switching Protocols\r\n.*\r\n\r\nhello$/s);
    await wire.sees(/\r\n\r\nearly$/);
    client.send('ping');
    await wire.sees(/earlyping$/);
    wire.send('pong');
    await client.sees(/hellopong$/);
    assert.equal(counts(edge).inFlight, 1);
    client.socket.end();
    assert.equal(await wire.end(), 'fin');
    wire.socket.end();
    await eventually('the claim to end', () => counts(edge).inFlight === 0);
    assert.equal(counts(edge).served, 1);
  },
);

testBoth('an app that does not switch has its answer passed on, framed anew', async (t) => {
  const edge = await startEdge(t);
  const response = 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nX-Why: 1\r\n\r\n2\r\nno\r\n0\r\n\r\n';
  const upstream = await scriptedUpstream(t, answering(response));
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  await client.end();
  assert.match(client.received, /^HTTP\/1.1 403 Forbidden\r\n.*X-Why: 1\r\n.*\r\n2\r\nno\r\n0\r\n\r\n$/s);
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
});

testBoth('an upgrade to a dead app is a 502 page, and an unknown host a 404', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  await upstream.close();
  const client = await edge.send(HANDSHAKE);
  await client.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE/s);
  await client.end();
  await (await edge.send(HANDSHAKE.replace('app.test', 'other.test'))).sees(/^HTTP\/1.1 404 /);
});
