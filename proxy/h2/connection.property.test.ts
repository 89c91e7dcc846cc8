/**
 * Whatever a client sends, and however its bytes are split: the result is the same, nothing throws, and nothing leaks.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { systemClock } from '../clock.ts';
import { MemorySocket } from '../net/memory-socket.ts';
import { Http2Connection } from './connection.ts';
import type { Handler } from './connection.ts';
import type { ServerStream } from './stream.ts';
import { frameSequence } from './test-sequences.ts';
import { FRAME, PREFACE } from './wire/codes.ts';
import { FieldBlock } from './wire/field-block.ts';
import { FieldList } from './wire/hpack-decoder.ts';
import { Outputs } from './wire/outputs.ts';
import { frame } from './wire/test-frames.ts';

const block = new FieldBlock();
const tools = {
  clock: systemClock,
  outputs: new Outputs(),
  fields: new FieldList(65_536),
  block,
  maxListBytes: 65_536,
};

/** Records the outcome of each stream, and responds to complete requests. */
class Notes implements Handler {
  readonly lines: string[] = [];
  open = 0;
  isOver = false;

  request(stream: ServerStream, fields: FieldList, hasBody: boolean): void {
    const names = Array.from(
      { length: fields.count },
      (_, index) => `${fields.at(index).name}=${fields.at(index).value}`,
    );
    const { id } = stream;
    let body = '';
    this.open += 1;
    this.lines.push(`${id} asks ${names.join()}`);
    stream.sink = {
      data: (bytes, start, end) => {
        body += bytes.toString('latin1', start, end);
        return true;
      },
      ended: (trailers) => {
        this.lines.push(`${id} has ${body} and ${trailers.join()}`);
        answer(stream);
      },
      sent: () => undefined,
      tick: () => undefined,
      closed: (code) => this.lines.push(`${id} ends with ${code} after ${body}`),
    };
    if (!hasBody) answer(stream);
  }

  streamClosed(): void {
    this.open -= 1;
  }

  closed(): void {
    this.isOver = true;
  }
}

function answer(stream: ServerStream): void {
  stream.respond(block.begin(200));
  stream.write(Buffer.from('ok'), 0, 2);
  stream.end();
}

async function made(bytes: Buffer, places: readonly number[]): Promise<readonly string[]> {
  const [near, far] = MemorySocket.pair({ address: '', secure: false });
  const notes = new Notes();
  const connection = new Http2Connection(far as unknown as Socket, tools, notes);
  near.on('error', () => undefined);
  near.resume();
  const shared = Buffer.alloc(bytes.length);
  const cuts = [...new Set([0, ...places, bytes.length])].toSorted((a, b) => a - b);
  for (const [index, start] of cuts.slice(0, -1).entries()) {
    const end = cuts[index + 1] ?? start;
    bytes.copy(shared, 0, start, end);
    connection.read(shared, 0, end - start);
    shared.fill(0xee);
  }
  notes.lines.push(`open: ${connection.isOpen}`);
  connection.destroy();
  await new Promise((resolve) => far.once('close', resolve));
  assert.deepEqual([notes.open, connection.streams.size, notes.isOver], [0, 0, true]);
  return notes.lines;
}

test('the result of a sequence of frames does not depend on how it is split', async () => {
  await fc.assert(
    fc.asyncProperty(frameSequence, async ({ bytes, parts }) => {
      const all = Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0), bytes]);
      const whole = await made(all, []);
      assert.deepEqual(
        await made(
          all,
          parts.map((place) => place + all.length - bytes.length),
        ),
        whole,
      );
      assert.deepEqual(
        await made(
          all,
          Array.from(all, (_, at) => at),
        ),
        whole,
      );
    }),
    { numRuns: 1000 },
  );
});
