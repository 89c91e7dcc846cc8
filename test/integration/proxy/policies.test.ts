/** What a route's settings let in, as clients see it, whichever engine their connections start in. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../harness/until.ts';
import { startServing } from './engine-harness.ts';
import { answering, engineOf, eventually, HEAD, OK, scriptedUpstream, testBoth } from './harness.ts';

testBoth('a client outside of the allow-list gets 403, and the app nothing', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.serve(upstream.port, { allowFrom: ['192.0.2.0/24'] });
  const client = await edge.send(`GET /out ${HEAD}\r\n`);
  await client.sees(/^HTTP\/1.1 403 .*ORK_ADDRESS_REFUSED\n$/s);
  assert.equal(upstream.wires.length, 0);
  edge.serve(upstream.port, { allowFrom: ['192.0.2.0/24', '127.0.0.0/8'] });
  client.send(`GET /in ${HEAD}\r\n`);
  await client.sees(/HTTP\/1.1 200 .*ok$/s);
});

testBoth("in maintenance a browser gets the environment's own page, and the app nothing", async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.serve(upstream.port, { maintenance: true, errorPages: { '503': '<h1>Closed</h1>' } });
  const browser = await edge.send(`GET / ${HEAD}Accept: text/html\r\n\r\n`);
  await browser.sees(
    /^HTTP\/1.1 503 .*\r\nContent-Type: text\/html.*\r\nRetry-After: 120\r\n.*\r\n\r\n<h1>Closed<\/h1>$/s,
  );
  const tool = await edge.send(`GET / ${HEAD}\r\n`);
  await tool.sees(/^HTTP\/1.1 503 .*ORK_MAINTENANCE\n$/s);
  assert.equal(upstream.wires.length, 0);
});

testBoth('a wildcard serves the names one level below its own', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  edge.serve(upstream.port, {}, { routes: [{ host: '*.app.test', pathPrefix: '/' }] });
  for (const [host, status] of [
    ['a.app.test', 200],
    ['b.APP.test:80', 200],
    ['app.test', 404],
    ['a.b.app.test', 404],
  ] as const) {
    await (await edge.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).sees(new RegExp(`^HTTP/1.1 ${status} `));
  }
  await eventually('all to be told of', () => edge.seen.length === 4);
  assert.equal(edge.seen[0]?.engine, engineOf(t) === 'fast' ? 'fast' : 'general');
});

testBoth(
  'a client that asks for the same page again and again and reads nothing is not read any further',
  async (t) => {
    const edge = await startServing(t);
    const page = 'x'.repeat(32_768);
    edge.serve(1, { maintenance: true, errorPages: { '503': page } });
    const client = await edge.send('');
    client.socket.pause();
    const asked = 20_000;
    client.send(`GET / ${HEAD}Accept: text/html\r\n\r\n`.repeat(asked));
    await eventually('answers', () => edge.seen.length > 0);
    let before = -1;
    await until(async () => {
      const now = edge.seen.length;
      await sleep(200);
      const isStill = now === before;
      before = now;
      return isStill;
    }, 'no more answers');
    assert.ok(edge.seen.length < 1000, `${edge.seen.length} of ${asked} answers, and the client has read none`);
  },
);
