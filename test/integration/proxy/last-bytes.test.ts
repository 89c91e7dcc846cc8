/** Responses and streams over TLS whose last bytes wait for a slow reader when their connection is to be closed. */
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { FastEngine } from '../../../proxy/fast/engine.ts';
import { GeneralServer } from '../../../proxy/general/server.ts';
import { makeRanges } from '../../../proxy/policy/allow-list.ts';
import { Pools } from '../../../proxy/target/pool.ts';
import { gatedTls } from './gated.ts';
import { ask, startHttp2Edge } from './h2-harness.ts';
import type { Http2Settings } from './h2-harness.ts';
import {
  answering,
  engineOf,
  entryFor,
  eventually,
  scriptedUpstream,
  SWITCH,
  testBoth,
  UPGRADE_FIELDS,
} from './harness.ts';

/** Less than may be queued in a TLS connection before its reader counts as slow. */
const BODY = 'x'.repeat(60_000);
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
/** The body as a server's message, and a Close frame with 1001 (RFC 6455 section 5.2). */
const MESSAGE = Buffer.from([0x82, 126, BODY.length >> 8, BODY.length & 255]).toString('latin1') + BODY;
const GOODBYE = Buffer.from([0x88, 2, 0x03, 0xe9]).toString('latin1');
const CLOSE_MS = 40;

/** An engine with one client that has sent a request and does not read yet. */
async function asked(t: TestContext, fields: string, timeouts: Http2Settings['timeouts'] = {}, answer = ANSWER) {
  const { context, plane } = await startHttp2Edge(t, { timeouts: { closeMs: CLOSE_MS, ...timeouts } });
  const app = await scriptedUpstream(t, answering(answer));
  plane.put(entryFor(app.port));
  const trusted = makeRanges([]);
  const general = new GeneralServer(context, trusted);
  const pools = new Pools(context.limits, context.timeouts, context.clock);
  const fast = new FastEngine(context, trusted, general, pools);
  t.after(async () => {
    fast.destroy();
    general.destroy();
    await Promise.all([fast.close(), general.close()]);
  });
  const engine = engineOf(t) === 'fast' ? fast : general;
  const { client, server, gate } = await gatedTls(t);
  engine.accept(server, { address: '127.0.0.1', secure: true });
  const received = bytesOf(client);
  gate.isOpen = false;
  client.write(`GET / HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`);
  await eventually('the answer to be given', () => server.writableLength >= BODY.length);
  return { engine, server, gate, received, app, plane };
}

const asUpgraded = async (t: TestContext, timeouts: Http2Settings['timeouts'] = {}) => {
  const tunnel = await asked(t, UPGRADE_FIELDS.replace(/\r\n$/, ''), timeouts, `${SWITCH}${MESSAGE}`);
  return { ...tunnel, wire: await tunnel.app.wire(0) };
};

function bytesOf(client: TLSSocket): { text: string } {
  const received = { text: '' };
  client.on('data', (bytes: Buffer) => (received.text += bytes.toString('latin1')));
  client.on('error', () => undefined);
  return received;
}

testBoth('a client that asked to close its connection gets its whole response, however late it reads', async (t) => {
  const { server, gate, received } = await asked(t, 'Connection: close\r\n');
  await sleep(5 * CLOSE_MS);
  assert.equal(server.destroyed, false);
  gate.open();
  await eventually('the whole answer', () => received.text.endsWith(BODY));
  await eventually('the end of its connection', () => server.destroyed);
});

testBoth('the last response before an idle connection is closed arrives completely', async (t) => {
  const { engine, server, gate, received } = await asked(t, '');
  engine.closeIdle();
  await sleep(5 * CLOSE_MS);
  assert.equal(server.destroyed, false);
  gate.open();
  await eventually('the whole answer', () => received.text.endsWith(BODY));
  await eventually('the end of its connection', () => server.destroyed);
});

testBoth('a client that does not read its last response is dropped after the usual stall limit', async (t) => {
  const { server } = await asked(t, 'Connection: close\r\n', { clientStallMs: 300 });
  await sleep(150);
  assert.equal(server.destroyed, false);
  await eventually('the end of its connection', () => server.destroyed);
});

testBoth('data that an app sent in a tunnel before its end arrives completely, however late it is read', async (t) => {
  const { server, gate, received, wire } = await asUpgraded(t);
  wire.socket.end();
  await sleep(5 * CLOSE_MS);
  assert.equal(server.destroyed, false);
  gate.open();
  await eventually('all of it', () => received.text.endsWith(BODY));
  await eventually('the end of its connection', () => server.destroyed);
});

testBoth('a client that does not read the last data of a tunnel is dropped after the usual stall limit', async (t) => {
  const { server, wire } = await asUpgraded(t, { clientStallMs: 300 });
  wire.socket.end();
  await sleep(150);
  assert.equal(server.destroyed, false);
  await eventually('the end of its connection', () => server.destroyed);
});

testBoth('a tunnel that the proxy ends delivers its Close frame to a client that reads late', async (t) => {
  const { plane, server, gate, received } = await asUpgraded(t);
  for (const dismiss of plane.dismissals()) dismiss();
  await sleep(5 * CLOSE_MS);
  assert.equal(server.destroyed, false);
  gate.open();
  await eventually('the goodbye behind all of it', () => received.text.endsWith(`${BODY}${GOODBYE}`));
});

test('the last response on an HTTP/2 connection arrives completely, however late it is read', async (t) => {
  let aheadMs = 0;
  const { plane, front } = await startHttp2Edge(t, { timeouts: { closeMs: CLOSE_MS }, aheadMs: () => aheadMs });
  const app = await scriptedUpstream(t, answering(ANSWER));
  plane.put(entryFor(app.port));
  const { client, server, gate } = await gatedTls(t, 'h2');
  front.accept(server);
  const session = connect('https://app.test', { createConnection: () => client });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  await eventually('the settings', () => session.remoteSettings.maxConcurrentStreams === 128);
  gate.isOpen = false;
  const reply = ask(session, {});
  await eventually('the answer to be given', () => plane.counts()[0]?.targets[0]?.served === 1);
  const isClosed = front.close();
  // Long enough for several checks, but shorter than the limit for stalled clients.
  for (let looks = 0; looks < 3; looks += 1) {
    await sleep(1100);
    aheadMs += 1000;
  }
  assert.equal(server.destroyed, false);
  gate.open();
  assert.equal((await reply).text.length, BODY.length);
  await isClosed;
});
