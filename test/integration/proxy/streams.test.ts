/** Long-lived exchanges: events, uploads, slow readers, WebSockets. */
import assert from 'node:assert/strict';
import {
  answering,
  counts,
  eventually,
  fields,
  HANDSHAKE,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  SWITCH,
  testBoth,
} from './harness.ts';

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

testBoth("a slow reader holds its app back instead of filling the proxy's memory", async (t) => {
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

testBoth('a WebSocket carries bytes both ways, even early ones, and a FIN from one side ends both', async (t) => {
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
});

testBoth("the refusal of an app that does not switch is passed on, in the proxy's own framing", async (t) => {
  const edge = await startEdge(t);
  const response = 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nX-Why: 1\r\n\r\n2\r\nno\r\n0\r\n\r\n';
  const upstream = await scriptedUpstream(t, answering(response));
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  await client.end();
  assert.match(client.received, /^HTTP\/1.1 403 Forbidden\r\n.*X-Why: 1\r\n.*\r\n2\r\nno\r\n0\r\n\r\n$/s);
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
});

testBoth('an upgrade to a dead app yields a 502 page, and to an unknown host 404', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  await upstream.close();
  const client = await edge.send(HANDSHAKE);
  await client.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE/s);
  await client.end();
  await (await edge.send(HANDSHAKE.replace('app.test', 'other.test'))).sees(/^HTTP\/1.1 404 /);
});

testBoth(
  'a client that leaves before the end of its response does not break the connection of another request',
  async (t) => {
    const edge = await startEdge(t, { timeouts: { poolIdleMs: 60_000 } });
    const large = `HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n${'x'.repeat(60_000)}`;
    const app = await scriptedUpstream(t, (wire) => {
      let asked = 0;
      wire.socket.on('data', () => {
        const heads = wire.received.split('GET /large ').length - 1;
        for (; asked < heads; asked += 1) wire.send(large);
      });
    });
    await route(edge, app.port);
    const leaving = await edge.connect();
    leaving.socket.pause();
    // Each response is sent whole until the kernel has no room for a complete one: that one waits for its client.
    leaving.send(`GET /large ${HEAD}\r\n`.repeat(200));
    let before = -1;
    while (before !== counts(edge).served) {
      before = counts(edge).served;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    assert.equal(counts(edge).inFlight, 1);
    const other = await edge.send(`GET /other ${HEAD}\r\n`);
    await eventually('the other request', () => app.wires.some(({ received }) => received.includes('GET /other ')));
    leaving.socket.resetAndDestroy();
    await eventually('its end', () => counts(edge).inFlight === 1);
    for (const wire of app.wires) if (wire.received.includes('GET /other ')) wire.send(OK);
    await other.sees(/\r\n\r\nok$/);
  },
);

testBoth('a proxy that stops ends an event stream after a complete chunk, and nothing counts as failed', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`GET / ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\n\n\r\n');
  await client.sees('a\n\n');
  const closed = edge.proxy.close(2_000);
  assert.equal(await client.end(), 'fin');
  assert.match(client.received, /\r\n0\r\n\r\n$/);
  assert.equal(counts(edge).failed, 0);
  await closed;
});
