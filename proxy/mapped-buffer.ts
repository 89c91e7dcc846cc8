/** Buffers that live as long as the process and are mostly unused. */

/**
 * From this size on glibc maps a block by itself, bytes: M_MMAP_THRESHOLD of mallopt(3), which
 * installer/stack/allocator.ts keeps at this value.
 */
const MAPPED_BYTES = 131_072;

/** A buffer whose pages take memory only once they are written. On the heap it would keep pages that others touched. */
export function mappedBuffer(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(bytes, MAPPED_BYTES)).subarray(0, bytes);
}
