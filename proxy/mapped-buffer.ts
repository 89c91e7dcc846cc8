/** Buffers that a process keeps for all of its life, and mostly fills a little of. */

/** glibc maps blocks of that size by themselves (mallopt(3), M_MMAP_THRESHOLD; installer/stack/allocator.ts keeps it there), bytes. */
const MAPPED_BYTES = 131_072;

/** Its pages are there once something is written to them: where it lies among others, those of what was there before stay. */
export function mappedBuffer(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(bytes, MAPPED_BYTES)).subarray(0, bytes);
}
