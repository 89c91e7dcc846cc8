/** Which connection to an app a request takes, and when it is sent again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answering,
  counts,
  engineOf,
  eventually,
  HEAD,
  OK,
  route,
  scriptedUpstream,
  startEdge,
  testBoth,
} from './harness.ts';

for (const [request, name] of [
  [`POST / ${HEAD}Content-Length: 3\r\n\r\nabc`, 'a POST'],
  [`POST / ${HEAD}Content-Length: 0\r\n\r\n`, 'a POST without body'],
  [`PUT / ${HEAD}Content-Length: 3\r\n\r\nabc`, 'a PUT'],
  [`DELETE / ${HEAD}\r\n`, 'a DELETE'],
  [`GET / ${HEAD}Content-Length: 3\r\n\r\nabc`, 'a GET with a body'],
] as const) {
  testBoth(`${name} is sent once, even if the app drops it`, async (t) => {
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
    // On a new connection; in the fast engine on one used so recently that no app closes it for its age.
    assert.equal(upstream.wires.length, engineOf(t) === 'fast' ? 1 : 2);
    const heads = upstream.wires.reduce((sum, wire) => sum + wire.received.split(' HTTP/1.1\r\n').length - 1, 0);
    assert.equal(heads, 2);
    assert.deepEqual(counts(edge), { failed: 1, served: 1, targetFailed: 1, inFlight: 0 });
  });
}

test('a POST does not use a connection that was idle for more than a second, a GET does', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const client = await edge.send(`GET /warm ${HEAD}\r\n`);
  await client.sees(/ok$/);
  // The time is checked every half second.
  await new Promise((resolve) => setTimeout(resolve, 1600));
  client.send(`POST / ${HEAD}Content-Length: 0\r\n\r\n`);
  await client.sees(/ok.*ok$/s);
  assert.equal(upstream.wires.length, 2);
  client.send(`GET /again ${HEAD}\r\n`);
  await client.sees(/ok.*ok.*ok$/s);
  assert.equal(upstream.wires.length, 2);
});

testBoth('a GET whose idle upstream connection closes under it is retried once, on a new connection', async (t) => {
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

testBoth('a GET is not retried after a part of the response, nor a second time', async (t) => {
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

testBoth('the limit for idle upstream connections does not apply to responses, and closes idle ones', async (t) => {
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

testBoth('an upstream that closes idle connections at random causes no failed request', async (t) => {
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
