/** For tests and the fuzzer: builds frames and field blocks (RFC 9113 section 4, RFC 7541), valid or not. */

const HEAD_BYTES = 9;

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A block of literal fields without indexing (RFC 7541 section 6.2.2) and without Huffman coding. */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const rest: number[] = [];
  let left = bytes.length - 127;
  for (; left >= 128; left = Math.floor(left / 128)) rest.push((left % 128) + 128);
  return Buffer.concat([Buffer.from([127, ...rest, left]), bytes]);
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** One setting (RFC 9113 section 6.5.1). */
export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), number(value)]);
}
