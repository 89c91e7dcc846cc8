/** Buffers that live as long as the process and are mostly unused. */

/** glibc maps blocks from this size on individually, bytes (M_MMAP_THRESHOLD, kept by installer/stack/allocator.ts). */
const MAPPED_BYTES = 131_072;

/** A buffer whose pages take memory only once they are written. On the heap it would keep pages that others touched. */
export function mappedBuffer(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(bytes, MAPPED_BYTES)).subarray(0, bytes);
}
