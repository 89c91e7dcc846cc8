/** Apps that answer an upload and close before they have read it: the client must get their response. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startServing } from './engine-harness.ts';
import { ask, startHttp2Edge } from './h2-harness.ts';
import { entryFor, eventually, HEAD, listen, testBoth } from './harness.ts';
import type { Wire } from './harness.ts';

const REFUSAL = 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nno entry\n';
const OPEN_END = 'HTTP/1.0 413 Too Large\r\n\r\ntoo much\n';

interface Refusing {
  readonly port: number;
  readonly sockets: readonly Socket[];
}

/** An app that reads nothing. */
async function refusingApp(t: TestContext): Promise<Refusing> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: await listen(server), sockets };
}

/** Responds and closes at once: because of the unread data, a reset follows the response. */
function refuse(socket: Socket, answer: string): void {
  socket.write(answer);
  socket.destroy();
}

/** Like servers that close their side first. */
function refuseGently(socket: Socket, answer: string): void {
  socket.end(answer, () => socket.destroy());
}

const UPLOADS = [
  ['of known length', 'Content-Length: 30000000', (text: string) => text],
  ['in chunks', 'Transfer-Encoding: chunked', (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`],
] as const;
const PIECE = 'x'.repeat(50_000);

for (const [how, framing, piece] of UPLOADS) {
  for (const [what, answer, leave] of [
    ['closes', REFUSAL, refuse],
    ['closes its side first', REFUSAL, refuseGently],
    ['ends its response by closing its side', OPEN_END, refuseGently],
  ] as const) {
    testBoth(
      `the client gets the response of an app that answers an upload ${how} without reading it, and ${what}`,
      async (t) => {
        const edge = await startServing(t);
        const app = await refusingApp(t);
        edge.serve(app.port);
        const client = await edge.send(`POST / ${HEAD}${framing}\r\n\r\n${piece(PIECE)}`);
        await eventually('the app has a connection', () => app.sockets.length === 1);
        await delay(50);
        // The proxy reads this first, and writes it to a connection that is closed by then.
        client.send(piece(PIECE));
        leave(app.sockets[0] as Socket, answer);
        await heard(client, answer);
        // The rest of the upload is read and dropped.
        for (let sent = 0; sent < 20; sent += 1) client.send(piece(PIECE));
        await eventually('it was told of', () => edge.seen.length === 1);
        assert.deepEqual([edge.seen[0]?.outcome, app.sockets.length], ['served', 1]);
      },
    );
  }

  testBoth(
    `the client gets the response of an app that stops reading an upload ${how}, answers and closes`,
    async (t) => {
      const edge = await startServing(t);
      const app = await refusingApp(t);
      edge.serve(app.port);
      const client = await edge.send(`POST / ${HEAD}${framing}\r\n\r\n`);
      for (let sent = 0; sent < 500; sent += 1) client.send(piece(PIECE));
      await eventually('the app has a connection', () => app.sockets.length === 1);
      await standsStill(client);
      refuse(app.sockets[0] as Socket, REFUSAL);
      await heard(client, REFUSAL);
      await eventually('it was told of', () => edge.seen.length === 1);
      assert.deepEqual([edge.seen[0]?.outcome, app.sockets.length], ['served', 1]);
    },
  );
}

testBoth('a response that a reset cuts off does not count as complete', async (t) => {
  const edge = await startServing(t);
  const app = await refusingApp(t);
  edge.serve(app.port);
  const client = await edge.send(`POST / HTTP/1.0\r\nHost: app.test\r\nContent-Length: 30000000\r\n\r\n${PIECE}`);
  await eventually('the app has a connection', () => app.sockets.length === 1);
  await delay(50);
  client.send(PIECE);
  refuse(app.sockets[0] as Socket, OPEN_END);
  assert.equal(await client.end(), 'reset');
  assert.equal(edge.seen[0]?.outcome, 'failed');
});

testBoth('an app that closes during an upload without a response yields 502', async (t) => {
  const edge = await startServing(t);
  const app = await refusingApp(t);
  edge.serve(app.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 30000000\r\n\r\n${PIECE}`);
  await eventually('the app has a connection', () => app.sockets.length === 1);
  await delay(50);
  client.send(PIECE);
  (app.sockets[0] as Socket).destroy();
  await client.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE\n$/s);
  assert.deepEqual([edge.seen[0]?.outcome, app.sockets.length], ['failed', 1]);
});

for (const compression of [false, true]) {
  const way = compression ? 'by the general engine' : 'by the fast one';
  test(`over HTTP/2 the client gets the response of an app that answers an upload without reading it, ${way}`, async (t) => {
    const edge = await startHttp2Edge(t);
    const app = createHttpServer((_, res) => res.writeHead(401, { connection: 'close' }).end('no entry\n'));
    t.after(() => void app.close());
    const entry = entryFor(await listen(app));
    edge.plane.put({ ...entry, edge: { ...entry.edge, compression } });
    const session = await edge.connect();
    const answer = ask(session, { ':method': 'POST' }, Buffer.alloc(2_000_000, 'x'));
    const { status, text } = await answer;
    assert.deepEqual([status, text], [401, 'no entry\n']);
    await eventually('it was told of', () => edge.seen.length > 0);
    assert.equal(edge.seen[0]?.outcome, 'served');
  });
}

/** The client has the whole response, and nothing else. */
async function heard(client: Wire, answer: string): Promise<void> {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  await client.sees(body);
  assert.match(client.received, new RegExp(`^HTTP/1.1 ${head.slice(9, 12)} `));
  assert.equal(client.received.match(/HTTP\/1/g)?.length, 1);
}

/** Waits until every buffer on the way is full. */
async function standsStill({ socket }: Wire): Promise<void> {
  let before = -1;
  while (before !== socket.writableLength) {
    before = socket.writableLength;
    await delay(100);
  }
  assert.ok(before > 0, 'the upload is too small');
}
