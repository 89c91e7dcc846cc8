/** Which fields pass, which are generated, and what an expectation or an early hint does. */
import assert from 'node:assert/strict';
import {
  answering,
  engineOf,
  eventually,
  fields,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  testBoth,
} from './harness.ts';

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

testBoth('Connection cannot remove framing and routing fields', async (t) => {
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

testBoth("a client's claims about its own origin are replaced, never trusted", async (t) => {
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
  // As received, or on one line: a server has to treat both alike.
  assert.deepEqual(seen.get('cookie'), engineOf(t) === 'fast' ? ['a=1', 'b=2'] : ['a=1; b=2']);
});

testBoth('a missing request id is generated, a safe one kept, and an unsafe one replaced', async (t) => {
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

testBoth('Expect: 100-continue is passed to the app, whose 100 releases the body', async (t) => {
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

testBoth("an app's refusal in place of 100 is passed on, and the connection is not reused", async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n'));
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Expect: 100-continue\r\nContent-Length: 40\r\n\r\n`);
  await client.sees(/^HTTP\/1.1 413 .*Connection: close/s);
  await client.end();
  await eventually('the upstream connection to close', () => upstream.wires[0]?.ended !== null);
});

testBoth('any other expectation gets 417', async (t) => {
  const edge = await startEdge(t);
  await (await edge.send(`GET / ${HEAD}Expect: miracles\r\n\r\n`)).sees(/^HTTP\/1.1 417 /);
});

testBoth('a response has the Date of its app, or the time of its arrival', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  wire.send(OK);
  await client.sees(/ok$/);
  const [, date = ''] = /^Date: (.+ GMT)\r$/m.exec(client.received) ?? [];
  assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60_000, client.received);
  client.send(`GET /own ${HEAD}\r\n`);
  await wire.sees('/own');
  wire.send(OK.replace('\r\n', '\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n'));
  await client.sees(/ok.*Date: Tue, 01 Jan 2030 00:00:00 GMT.*ok$/s);
  assert.equal(client.received.match(/^Date:/gm)?.length, 2);
  const own = await edge.send('GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n');
  await own.sees(/^HTTP\/1.1 404 .*\r\nDate: .+ GMT\r\n/s);
});

testBoth('the connection of an HTTP/1.0 client is closed after the response, unless it asks to keep it', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const plain = await edge.send('GET / HTTP/1.0\r\nHost: app.test\r\n\r\n');
  await plain.sees(/^HTTP\/1.1 200 .*Connection: close.*ok$/is);
  await plain.end();
  const kept = await edge.send('GET / HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n');
  await kept.sees(/Connection: keep-alive.*ok$/is);
  kept.send('GET / HTTP/1.0\r\nHost: app.test\r\n\r\n');
  await kept.sees(/ok.*Connection: close.*ok$/is);
  await kept.end();
});

testBoth('Max-Forwards of OPTIONS is decremented, and OPTIONS with 0 is answered by the proxy', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t, answering(OK));
  await route(edge, app.port);
  const asked = async (method: string, value: string): Promise<void> => {
    await (await edge.send(`${method} /${value} ${HEAD}Max-Forwards: ${value}\r\nConnection: close\r\n\r\n`)).end();
  };
  const client = await edge.send(`OPTIONS / ${HEAD}Max-Forwards: 0\r\n\r\n`);
  await client.sees(/^HTTP\/1.1 200 [^]*\r\nContent-Length: 0\r\n[^]*\r\n\r\n$/);
  assert.equal(app.wires.length, 0);
  const passed = [
    ['OPTIONS', '3', '2'],
    ['OPTIONS', 'many', 'many'],
    ['GET', '0', '0'],
  ] as const;
  for (const [method, value, seen] of passed) {
    await asked(method, value);
    assert.deepEqual(
      fields(app.wires.at(-1) as (typeof app.wires)[number], `${method} /${value} `).get('max-forwards'),
      [seen],
    );
  }
});
