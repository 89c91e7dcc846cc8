/** A session from the engine's side: an independent gRPC client on a real socket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { test } from 'node:test';
import { serveGrpc, unary } from './grpc.ts';
import { GRPC, GrpcStatus } from './grpc-status.ts';
import { connection, frame, serve } from './test-client.ts';

async function call(
  client: ClientHttp2Session,
  path: string,
  body: Buffer,
): Promise<{ status: string; message: string; body: Buffer }> {
  const stream = client.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let fields: Record<string, string> = {};
  const keep = (headers: object): void => void (fields = { ...fields, ...(headers as Record<string, string>) });
  stream.on('response', keep);
  stream.on('trailers', keep);
  stream.on('error', () => undefined); // the status shows it
  stream.end(body);
  const parts: Buffer[] = [];
  for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
  return {
    status: String(fields['grpc-status']),
    message: fields['grpc-message'] ?? '',
    body: Buffer.concat(parts),
  };
}

test('a method receives the message, and its answer is framed with status 0 in the trailers', async (t) => {
  const client = await serve(t, { '/a.B/C': unary((bytes) => Buffer.from(`<${bytes.toString()}>`)) });
  const answer = await call(client, '/a.B/C', frame(Buffer.from('ask')));
  assert.equal(answer.status, '0');
  assert.deepEqual(answer.body, frame(Buffer.from('<ask>')));
});

test('a large answer arrives complete, and concurrent calls get their own answers', async (t) => {
  const large = Buffer.alloc(500_000, 'x');
  const client = await serve(t, { '/a.B/C': unary((bytes) => Buffer.concat([bytes, large])) });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => call(client, '/a.B/C', frame(Buffer.from([index])))),
  );
  for (const [index, { body }] of answers.entries()) {
    assert.equal(body.length, 5 + 1 + large.length);
    assert.equal(body[5], index);
  }
});

test('an unknown method, a thrown status and any other error end the call without internal details', async (t) => {
  const client = await serve(t, {
    '/a.B/None': unary(() => {
      throw new GrpcStatus(GRPC.notFound, 'There is no such secret.');
    }),
    '/a.B/Bug': unary(() => {
      throw new Error('hunter2');
    }),
  });
  assert.equal((await call(client, '/a.B/X', frame(Buffer.alloc(0)))).status, String(GRPC.unimplemented));
  const none = await call(client, '/a.B/None', frame(Buffer.alloc(0)));
  assert.deepEqual(
    [none.status, decodeURIComponent(none.message)],
    [String(GRPC.notFound), 'There is no such secret.'],
  );
  const bug = await call(client, '/a.B/Bug', frame(Buffer.alloc(0)));
  assert.equal(bug.status, String(GRPC.internal));
  assert.doesNotMatch(bug.message, /hunter2/);
});

test('a request that is too long, truncated or compressed is rejected, and the next one is answered', async (t) => {
  const client = await serve(t, { '/a.B/C': unary(() => Buffer.from('ok')) });
  assert.equal((await call(client, '/a.B/C', frame(Buffer.alloc(70_000)))).status, String(GRPC.resourceExhausted));
  for (const broken of [Buffer.alloc(3), frame(Buffer.alloc(4), 9), Buffer.from([1, 0, 0, 0, 1, 7])]) {
    assert.equal((await call(client, '/a.B/C', broken)).status, String(GRPC.internal));
  }
  assert.equal((await call(client, '/a.B/C', frame(Buffer.alloc(0)))).status, '0');
});

test('close() ends the connection, even if called twice or while idle', async (t) => {
  const { ours, engine } = await connection(t);
  const server = serveGrpc(ours, new Map());
  const closed = once(engine, 'close');
  engine.resume();
  server.close();
  server.close();
  await closed;
  assert.ok(ours.destroyed);
});

test('a client that does not speak HTTP/2 is disconnected', async (t) => {
  const { ours, engine } = await connection(t);
  serveGrpc(ours, new Map());
  engine.on('error', () => undefined); // a reset is fine
  const closed = once(engine, 'close');
  engine.resume();
  engine.write('GET / HTTP/1.1\r\n\r\n');
  await closed;
  assert.ok(ours.destroyed);
});
