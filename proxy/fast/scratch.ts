/**
 * One buffer in which all heads to targets are put together. What is sent from it is nearly always with the kernel when
 * the write returns; when it is not, these bytes stay with the write and the next head gets another buffer.
 */

/** A head of 16 KiB with ours added, and the body bytes of one read. */
const BYTES = 98_304;

export class Scratch {
  buffer: Buffer = Buffer.allocUnsafeSlow(BYTES);

  /** @param bytes that are still in use; those of other memory are no concern */
  abandon(bytes: Buffer): void {
    if (bytes.buffer === this.buffer.buffer) this.buffer = Buffer.allocUnsafeSlow(BYTES);
  }
}
