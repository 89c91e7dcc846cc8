/** Buffers that live as long as the process and are mostly unused. */

/** M_MMAP_THRESHOLD of mallopt(3), bytes: glibc maps blocks this large individually (installer/stack/allocator.ts). */
const MAPPED_BYTES = 131_072;

/** A buffer whose pages take memory only once they are written. On the heap it would keep pages that others touched. */
export function mappedBuffer(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(bytes, MAPPED_BYTES)).subarray(0, bytes);
}
