import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Call } from '../target/call.ts';
import { RequestBody } from './request-body.ts';

/** A call without back-pressure that records what it gets. */
class Taking implements Call {
  writes = 0;
  text = '';
  hasEnded = false;

  write(bytes: Buffer): boolean {
    this.writes += 1;
    this.text += bytes.toString('latin1');
    return true;
  }

  end(): void {
    this.hasEnded = true;
  }

  resume(): never {
    throw new Error('nothing is to be resumed');
  }

  unsent(): never {
    throw new Error('nothing is to be sent again');
  }

  abort(): never {
    throw new Error('nothing is wrong');
  }

  get isBetweenChunks(): never {
    throw new Error('that is asked of an answer');
  }
}

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

test('the chunks of one read are forwarded in one write, however small they are and wherever the reads end', () => {
  const pieces = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }), { maxLength: 50 });
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 300 }), (texts, size) => {
      const body = new RequestBody();
      body.begin('chunked', 0);
      const call = new Taking();
      const behind = 'GET /next';
      const bytes = Buffer.from(`${texts.map(chunk).join('')}0\r\n\r\n${behind}`, 'latin1');
      let reads = 0;
      let at = 0;
      for (; at < bytes.length && !body.done; reads += 1) {
        const end = Math.min(at + size, bytes.length);
        at = body.take(bytes, at, end, call, 0);
      }
      assert.equal(call.text, texts.join(''));
      assert.equal(body.bytes, call.text.length);
      assert.ok(call.writes <= reads, `${call.writes} writes of ${reads} reads`);
      assert.deepEqual([body.done, call.hasEnded, body.bad], [true, true, false]);
      assert.equal(bytes.toString('latin1', at), behind);
    }),
  );
});
