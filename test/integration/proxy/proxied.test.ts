/** Connections through a load balancer, which names the client in a PROXY protocol header. */
import assert from 'node:assert/strict';
import { startServing } from './engine-harness.ts';
import { answering, eventually, fields, HEAD, OK, scriptedUpstream, testBoth } from './harness.ts';

const BALANCER = { trusted: ['127.0.0.1/32'], proxyProtocol: true, limits: { connectionsPerAddress: 2 } };
const named = (client: string): string => `PROXY TCP4 ${client} 192.0.2.1 50000 80\r\n`;
const GET = `GET / ${HEAD}\r\n`;

testBoth('the app gets the client address that the balancer names', async (t) => {
  const edge = await startServing(t, BALANCER);
  const app = await scriptedUpstream(t, answering(OK));
  edge.serve(app.port);
  const client = await edge.send(`${named('198.51.100.7')}${GET}`);
  await client.sees(/ok$/);
  assert.deepEqual(fields(await app.wire(0)).get('x-forwarded-for'), ['198.51.100.7']);
  client.send(GET);
  await client.sees(/ok.*ok$/s);
  assert.deepEqual(
    edge.seen.map(({ clientAddress }) => clientAddress),
    ['198.51.100.7', '198.51.100.7'],
  );
});

testBoth('a header that arrives byte by byte is read, and a connection without one is closed', async (t) => {
  const edge = await startServing(t, BALANCER);
  const app = await scriptedUpstream(t, answering(OK));
  edge.serve(app.port);
  const slow = await edge.connect();
  for (const octet of `${named('198.51.100.7')}${GET}`) {
    slow.send(octet);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await slow.sees(/ok$/);
  const bare = await edge.send(GET);
  await bare.end();
  assert.equal(bare.received, '');
});

testBoth('the limit per address applies to clients, not to their balancer', async (t) => {
  const edge = await startServing(t, BALANCER);
  const app = await scriptedUpstream(t, answering(OK));
  edge.serve(app.port);
  const open = async (client: string) => edge.send(`${named(client)}${GET}`);
  const wires = await Promise.all(['198.51.100.1', '198.51.100.1', '198.51.100.2', '198.51.100.3'].map(open));
  for (const wire of wires) await wire.sees(/ok$/);
  const third = await open('198.51.100.1');
  await third.end();
  assert.equal(third.received, '');
  wires[0]?.socket.destroy();
  await eventually('its place is free', () => wires[0]?.socket.destroyed === true);
  const again = async (): Promise<boolean> => {
    const wire = await open('198.51.100.1');
    await eventually('an answer or an end', () => wire.received !== '' || wire.ended !== null);
    return wire.received.endsWith('ok');
  };
  let isServed = await again();
  for (let tries = 0; !isServed && tries < 50; tries += 1) isServed = await again();
  assert.ok(isServed, 'a client that has closed a connection may open another');
});
