/** Where messages end, both ways: framing that is preserved, cut off, malformed or omitted. */
import assert from 'node:assert/strict';
import {
  answering,
  counts,
  engineOf,
  eventually,
  fields,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  SWITCH,
  testBoth,
} from './harness.ts';

for (const method of ['DELETE', 'OPTIONS', 'GET', 'POST', 'PUT', 'PATCH']) {
  testBoth(`a chunked ${method} keeps its framing, so that its body cannot become a request of its own`, async (t) => {
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
  // The fast engine reuses the connection that was in use a moment ago.
  const second = engineOf(t) === 'fast' ? first : await upstream.wire(1);
  assert.deepEqual(fields(first).get('content-length'), ['3']);
  assert.match(first.received, /\r\n\r\nabc(?:DELETE \/b |$)/);
  assert.equal(fields(second, 'DELETE /b').has('content-length'), false);
  assert.equal(fields(second, 'DELETE /b').has('transfer-encoding'), false);
  assert.ok(second.received.endsWith('\r\n\r\n'));
});

for (const [framing, response] of [
  ['Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'],
] as const) {
  testBoth(`an aborted response with ${framing} is never passed on as a complete one`, async (t) => {
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
    assert.deepEqual(counts(edge), { failed: 1, served: 0, targetFailed: 1, inFlight: 0 });
  });

  testBoth(
    `an HTTP/1.0 client gets a reset, not a clean end, when a response with ${framing} is aborted`,
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

testBoth("a response framed by its connection's end is not complete when the upstream resets it", async (t) => {
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
});

testBoth('HEAD, 204 and 304 have no body whatever their fields say, and the connection stays in use', async (t) => {
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

testBoth(
  'a response before the end of its request is passed on completely, and does not affect the next request',
  async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, (wire, index) => {
      if (index === 0)
        wire.socket.once('data', () => wire.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
      else answering(OK)(wire);
    });
    await route(edge, upstream.port);
    const client = await edge.send(`POST / ${HEAD}Content-Length: 1000003\r\n\r\nabc`);
    await client.sees(/403 Forbidden.*no$/s);
    // More than all buffers on the way can hold.
    client.send(`${'d'.repeat(1_000_000)}GET /next ${HEAD}\r\n`);
    if (engineOf(t) === 'fast') {
      // It announces the end of the connection, and closes it without a reset while the client still sends.
      assert.match(client.received, /\r\nConnection: close\r\n/);
      assert.equal(await client.end(), 'fin');
      assert.equal(upstream.wires.length, 1);
    } else {
      await client.sees(/200 OK.*ok$/s);
      assert.match(upstream.wires[1]?.received ?? '', /^GET \/next /);
    }
    await eventually('the first upstream connection to close', () => upstream.wires[0]?.ended !== null);
    assert.doesNotMatch(upstream.wires[0]?.received ?? '', /\/next/);
  },
);

for (const [fault, response] of [
  ['bytes that are not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  [
    'both Content-Length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
  ['an invalid status', 'HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nok'],
  ['an oversized head', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['an unrequested protocol switch', SWITCH],
] as const) {
  testBoth(`a response with ${fault} yields 502`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, answering(response));
    await route(edge, upstream.port);
    const client = await edge.send(`GET / ${HEAD}\r\n`);
    await client.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE/s);
    await eventually('the upstream connection to close', () => upstream.wires.every((wire) => wire.ended !== null));
    assert.deepEqual(counts(edge), { failed: 1, served: 0, targetFailed: 1, inFlight: 0 });
  });
}

testBoth('trailers pass both ways, except those that could affect framing, routing or access', async (t) => {
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
