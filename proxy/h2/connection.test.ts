/** Our HTTP/2 against node's (nghttp2): fields, bodies and trailers of any kind arrive as they were sent. */
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { systemClock } from '../clock.ts';
import { Http2Connection } from './connection.ts';
import type { Handler } from './connection.ts';
import type { ServerStream, StreamSink } from './stream.ts';
import { FieldBlock } from './wire/field-block.ts';
import { FieldList } from './wire/hpack-decoder.ts';
import { Outputs } from './wire/outputs.ts';

type Line = readonly [name: string, value: string];

interface Message {
  readonly fields: readonly Line[];
  readonly body: readonly number[];
  readonly trailers: readonly Line[];
}

const lines = (flat: readonly string[]): Line[] =>
  flat.flatMap((text, index): Line[] => (index % 2 === 0 ? [[text, flat[index + 1] ?? '']] : []));

/** Sends the test's response to each request, and records the request. */
class Echo implements Handler {
  readonly block = new FieldBlock();
  answer: Message = { fields: [], body: [], trailers: [] };
  fields: Line[] = [];
  body = 0;
  trailers: Line[] = [];

  request(stream: ServerStream, fields: FieldList, hasBody: boolean): void {
    this.fields = Array.from({ length: fields.count }, (_, index) => [fields.at(index).name, fields.at(index).value]);
    this.body = 0;
    this.trailers = [];
    stream.sink = this.#sinkOf(stream);
    if (!hasBody) this.#answer(stream);
  }

  streamClosed(): void {
    return;
  }

  closed(): void {
    return;
  }

  #sinkOf(stream: ServerStream): StreamSink {
    return {
      data: (_bytes, start, end) => {
        this.body += end - start;
        // Applies back-pressure now and then.
        if (this.body % 3 !== 0) return true;
        setImmediate(() => stream.resume());
        return false;
      },
      ended: (trailers) => {
        this.trailers = lines(trailers);
        this.#answer(stream);
      },
      sent: () => undefined,
      tick: () => undefined,
      closed: () => undefined,
    };
  }

  #answer(stream: ServerStream): void {
    stream.respond(this.block.begin(200).addAll(this.answer.fields.flat()));
    for (const length of this.answer.body) stream.write(Buffer.alloc(length, 'x'), 0, length);
    stream.end(this.answer.trailers.flat());
  }
}

async function startPair(t: TestContext): Promise<{ echo: Echo; client: ClientHttp2Session }> {
  const echo = new Echo();
  const tools = {
    clock: systemClock,
    outputs: new Outputs(),
    fields: new FieldList(1_000_000),
    block: echo.block,
    maxListBytes: 1_000_000,
  };
  const server = createServer((socket) => {
    const connection = new Http2Connection(socket, tools, echo);
    socket.on('data', (bytes: Buffer) => {
      if (!connection.read(bytes, 0, bytes.length)) socket.pause();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.after(() => {
    client.destroy();
    server.close();
  });
  return { echo, client };
}

interface Received {
  readonly fields: Line[];
  readonly trailers: Line[];
  readonly body: number;
}

async function exchange(client: ClientHttp2Session, { fields, body, trailers }: Message): Promise<Received> {
  const stream = client.request(
    [':method', 'POST', ':scheme', 'http', ':authority', 'app.test', ':path', '/', ...fields.flat()],
    { waitForTrailers: trailers.length > 0 },
  );
  stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(trailers)));
  let [gotFields, gotTrailers, gotBody]: [Line[], Line[], number] = [[], [], 0];
  stream.on('response', (_headers, _flags, raw) => {
    gotFields = lines(raw);
  });
  stream.on('trailers', (_headers, _flags, raw) => {
    gotTrailers = lines(raw);
  });
  stream.on('data', (chunk: Buffer) => {
    gotBody += chunk.length;
  });
  for (const length of body) stream.write(Buffer.alloc(length, 'y'));
  stream.end();
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('close', () => resolve());
  });
  return { fields: gotFields, trailers: gotTrailers, body: gotBody };
}

const name = fc
  .string({ unit: fc.constantFrom(...'abcxyz0129-_.!#$'.split('')), minLength: 1, maxLength: 30 })
  .map((text) => `q${text}`);
const known = fc.constantFrom('accept', 'user-agent', 'cache-control', 'x-forwarded-for', 'vary', 'server');
const value = fc
  .string({ unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 60 })
  .map((text) =>
    text
      .replaceAll('\x7f', '')
      .replaceAll(/[\x80-\x9f]/g, '~')
      .trim(),
  );
const field = fc.tuple(fc.oneof(name, known), fc.oneof(value, fc.constantFrom('', 'a', 'b'.repeat(5000))));
const distinct = (all: readonly (readonly [string, string])[]): Line[] => [...new Map(all)];
const message = fc.record({
  fields: fc.array(field, { maxLength: 12 }).map(distinct),
  body: fc.array(fc.nat({ max: 90_000 }), { maxLength: 4 }),
  trailers: fc.array(field, { maxLength: 3 }).map(distinct),
});

test("the proxy and node's HTTP/2 client exchange fields, bodies and trailers of any kind without loss", async (t) => {
  const { echo, client } = await startPair(t);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  await fc.assert(
    fc.asyncProperty(message, message, async (asked, answered) => {
      echo.answer = answered;
      const got = await exchange(client, asked);
      assert.deepEqual(echo.fields.slice(4), asked.fields);
      assert.deepEqual([echo.body, echo.trailers], [sum(asked.body), asked.trailers]);
      assert.deepEqual(got.fields, [[':status', '200'], ...answered.fields]);
      assert.deepEqual([got.body, got.trailers], [sum(answered.body), answered.trailers]);
    }),
    { numRuns: 150 },
  );
});
