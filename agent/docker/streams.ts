/** Output of containers: the engine multiplexes stdout and stderr into frames (Engine API, "Attach to a container"). */

const HEADER_BYTES = 8;

/** Payloads of a whole multiplexed buffer, in order. Of a truncated last frame, the part that is there. */
export function demultiplex(buffer: Buffer): Buffer {
  const payloads: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= buffer.length;) {
    const end = at + HEADER_BYTES + buffer.readUInt32BE(at + 4);
    payloads.push(buffer.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(payloads);
}

/** Upper bound for a frame of a log: Docker splits lines at 16 KiB. */
const MAX_FRAME_BYTES = 1_048_576;

export interface Frame {
  /** 1: stdout, 2: stderr. */
  readonly kind: number;
  readonly payload: Buffer;
}

/** The frames of a stream, grouped as they arrive. A truncated last frame is left out. */
export async function* framesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<readonly Frame[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (at + HEADER_BYTES <= bytes.length) {
      const length = bytes.readUInt32BE(at + 4);
      if (length > MAX_FRAME_BYTES) throw new Error(`The engine sent a frame of ${length} bytes.`);
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) break;
      frames.push({ kind: bytes[at] ?? 0, payload: bytes.subarray(at + HEADER_BYTES, end) });
      at = end;
    }
    rest = bytes.subarray(at);
    if (frames.length > 0) yield frames;
  }
}

/** Up to `maxBytes` of a stream. The rest is read and dropped, so that the sender does not block. */
export async function readBounded(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    if (bytes < maxBytes) chunks.push(chunk.subarray(0, maxBytes - bytes));
    bytes += chunk.length;
  }
  return Buffer.concat(chunks);
}
