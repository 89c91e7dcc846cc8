import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from './client.ts';
import { EventStreamParser, followDeployment } from './events.ts';
import { IDS, logEvent, statusEvent } from './test-answers.ts';
import { eventStream, refuse, startScriptedHub } from './test-cli.ts';
import type { Script } from './test-cli.ts';
import type { DeploymentEvent } from '../api/schemas.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const PATH = `GET /deployments/${IDS.deployment}/events`;
const END: DeploymentEvent = { kind: 'end', status: 'live' };

test('an event joins its data lines and carries the last id that was sent', () => {
  const events = new EventStreamParser().push(
    bytes(': comment\nid: 7\nevent: log\ndata: one\ndata:two\nretry: 10\n\ndata: three\n\n'),
  );
  assert.deepEqual(events, [
    { id: '7', data: 'one\ntwo' },
    { id: '7', data: 'three' },
  ]);
});

test('lines may end with LF, CR or CRLF, wherever the chunks are split', () => {
  const wire = bytes('id: 1\r\ndata: ü\r\n\r\nid: 2\rdata: b\r\rid: 3\ndata: c\n\n');
  const parser = new EventStreamParser();
  const events = [...wire].flatMap((byte) => parser.push(Uint8Array.of(byte)));
  assert.deepEqual(
    events.map(({ id, data }) => `${id}${data}`),
    ['1ü', '2b', '3c'],
  );
});

test('an incomplete event at the end of a broken stream is dropped', () => {
  assert.deepEqual(new EventStreamParser().push(bytes('id: 1\ndata: half\n')), []);
});

test('an endless line is refused instead of buffered', () => {
  const parser = new EventStreamParser();
  assert.throws(() => {
    for (let i = 0; i < 100; i++) parser.push(bytes('x'.repeat(65_536)));
  }, /too long/);
});

async function collect(script: Script, waits: number[]) {
  const hub = await startScriptedHub({ [PATH]: script });
  const client = new Client({ url: hub.url, token: 't' });
  const events: DeploymentEvent[] = [];
  let reconnects = 0;
  let error: unknown;
  try {
    const signal = new AbortController().signal;
    const follower = followDeployment(client, IDS.deployment, { signal, waits, onReconnect: () => reconnects++ });
    for await (const event of follower) events.push(event);
  } catch (thrown) {
    error = thrown;
  } finally {
    await client.close();
    await hub.stop();
  }
  return { events, reconnects, error: error as { code?: string } | undefined, asked: hub.asked };
}

test('a broken stream is resumed after the last complete event, without duplicate events', async () => {
  const events = [statusEvent({}), logEvent('build', 0, 'a'), logEvent('build', 1, 'b'), END];
  let turn = 0;
  const script: Script = ({ headers }, response) => {
    turn += 1;
    response.writeHead(turn > 3 ? 410 : 200, { 'content-type': 'text/event-stream' }); // ends even without a resume
    const seen = Number(headers['last-event-id'] ?? 0);
    const next = eventStream(events.slice(seen, seen + 2), seen + 1);
    // The first time, the connection breaks in the middle of the third event.
    if (turn === 1) response.write(`${next}id: 3\ndata: {"kind"`, () => response.destroy());
    else response.end(next);
  };
  const followed = await collect(script, [1, 1]);
  assert.equal(followed.error, undefined);
  assert.deepEqual(followed.events, events);
  assert.deepEqual(
    followed.asked.map(({ headers }) => headers['last-event-id']),
    [undefined, '2'],
  );
});

test('an unreachable hub is retried; when it stays unreachable, the follower fails', async () => {
  const away = refuse('ORK_HUB_UNREACHABLE', 'starting');
  const { error, reconnects, asked } = await collect(away, [1, 1, 1]);
  assert.equal(error?.code, 'ORK_HUB_UNREACHABLE');
  assert.equal(reconnects, 3);
  assert.equal(asked.length, 4);
});

test('a refusal stops the follower at once', async () => {
  const { error, asked } = await collect(refuse('ORK_NOT_FOUND', 'no such deployment'), [1, 1, 1]);
  assert.equal(error?.code, 'ORK_NOT_FOUND');
  assert.equal(asked.length, 1);
});
