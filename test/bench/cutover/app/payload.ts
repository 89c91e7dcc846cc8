/** Bytes for bodies, the same in the app and in the client. They do not compress, and no two parts are alike. */
import { createHash, createCipheriv } from 'node:crypto';

/** Largest body. */
const PAYLOAD_BYTES = 4 * 1024 * 1024;

export class Payload {
  readonly #bytes: Buffer;
  readonly #hashes = new Map<number, string>();

  constructor() {
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'payload'), Buffer.alloc(16));
    this.#bytes = cipher.update(Buffer.alloc(PAYLOAD_BYTES));
  }

  /** Its first bytes. */
  slice(bytes: number): Buffer {
    if (!(bytes >= 0 && bytes <= PAYLOAD_BYTES)) throw new RangeError(`a body of ${bytes} bytes`);
    return this.#bytes.subarray(0, bytes);
  }

  /** sha256 of {@link slice}, hexadecimal. */
  hash(bytes: number): string {
    const known = this.#hashes.get(bytes);
    if (known !== undefined) return known;
    const hash = createHash('sha256').update(this.slice(bytes)).digest('hex');
    this.#hashes.set(bytes, hash);
    return hash;
  }
}
