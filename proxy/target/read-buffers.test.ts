import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEADROOM, ReadBuffers, Reads } from './read-buffers.ts';

const MUCH = 1_000_000_000;

/** Takes the next buffer, as node does after each read. @returns the bytes that the next read can fill */
function afterRead(reads: Reads): number {
  reads.take();
  return reads.bytes.length - HEADROOM - 1;
}

/** Fills small reads until the next one is larger. @returns the number of reads, or null if that never happens */
function readsUntilLarge(reads: Reads, left = MUCH): number | null {
  const small = afterRead(reads);
  for (let count = 1; count <= 20; count += 1) {
    reads.passed(small, left);
    if (afterRead(reads) > small) return count;
  }
  return null;
}

test('a long response is read in large pieces once the client has taken several full ones', () => {
  assert.equal(readsUntilLarge(new Reads(new ReadBuffers())), 8);
});

test('the last pieces of a response are small, so that no large buffer is left over', () => {
  const reads = new Reads(new ReadBuffers());
  const small = afterRead(reads);
  readsUntilLarge(reads);
  reads.passed(500_000, 500_000);
  assert.equal(afterRead(reads), small);
  assert.equal(readsUntilLarge(new Reads(new ReadBuffers()), 500_000), null);
});

test('a client that falls behind gets small pieces, and large ones only after it has caught up', () => {
  const reads = new Reads(new ReadBuffers());
  const small = afterRead(reads);
  readsUntilLarge(reads);
  reads.shrink();
  assert.equal(afterRead(reads), small);
  assert.equal(readsUntilLarge(reads), null, 'what it was given still waits');
  reads.release();
  assert.equal(readsUntilLarge(reads), 8);
});

test('only a limited number of connections have large pieces, until their data has been sent', () => {
  const buffers = new ReadBuffers();
  const all = Array.from({ length: 33 }, () => new Reads(buffers));
  assert.deepEqual(all.map((reads) => readsUntilLarge(reads) !== null).indexOf(false), 32);
  const last = all.at(-1) as Reads;
  all[0]?.shrink();
  assert.equal(readsUntilLarge(last), null);
  all[0]?.release();
  all[0]?.release();
  assert.ok(readsUntilLarge(last));
  assert.equal(readsUntilLarge(new Reads(buffers)), null, 'released twice is given back once');
});

test('while many clients are behind, all connections read small pieces', () => {
  const buffers = new ReadBuffers();
  const reads = new Reads(buffers);
  const usual = afterRead(reads);
  const behind = Array.from({ length: 257 }, () => new Reads(buffers));
  for (const one of behind) one.shrink();
  for (const one of behind) one.shrink();
  const tight = afterRead(reads);
  assert.ok(tight < usual / 4);
  assert.equal(readsUntilLarge(reads), null);
  behind[0]?.release();
  behind[0]?.release();
  assert.equal(afterRead(reads), usual);
});
