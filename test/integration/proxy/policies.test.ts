/** What a route's settings let in, as clients see it, whichever engine their connections start in. */
import assert from 'node:assert/strict';
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
