/** Output of containers: the engine multiplexes stdout and stderr into frames (Engine API, "Attach to a container"). */

const HEADER_BYTES = 8;

/** Payloads of a whole multiplexed buffer, in order. A cut last frame gives what is there. */
export function demultiplex(buffer: Buffer): Buffer {
  const payloads: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= buffer.length;) {
    const end = at + HEADER_BYTES + buffer.readUInt32BE(at + 4);
    payloads.push(buffer.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(payloads);
}

/** Up to `maxBytes` of a stream; the rest is read and dropped so that the sender is not held up. */
export async function readBounded(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    if (bytes < maxBytes) chunks.push(chunk.subarray(0, maxBytes - bytes));
    bytes += chunk.length;
  }
  return Buffer.concat(chunks);
}
