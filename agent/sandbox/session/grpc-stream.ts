/** The messages of a gRPC call in which both sides send many (PROTOCOL-HTTP2.md of grpc/grpc). */
import type { ServerHttp2Stream } from 'node:http2';
import { GRPC, GrpcStatus } from './grpc-status.ts';

/** One byte "compressed", four bytes of length. */
const PREFIX_BYTES = 5;
/** What is asked for is a number of a file or the name of a secret: what is longer is no request. */
const MAX_MESSAGE_BYTES = 65_536;

/** A message as it goes over the wire. */
export function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

/**
 * The messages that the client sends, until it has sent all.
 * @throws GrpcStatus for one that is too long, compressed (no encoding was offered) or cut
 */
export async function* messagesOf(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  // Not destroyed on the way out: the answer goes over the same stream.
  for await (const part of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? part : Buffer.concat([rest, part]);
    while (rest.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + lengthOf(rest);
      if (rest.length < end) break;
      yield rest.subarray(PREFIX_BYTES, end);
      rest = rest.subarray(end);
    }
  }
  if (rest.length > 0) throw new GrpcStatus(GRPC.internal, 'A request is cut.');
}

function lengthOf(bytes: Buffer): number {
  const length = bytes.readUInt32BE(1);
  if (length > MAX_MESSAGE_BYTES) {
    throw new GrpcStatus(GRPC.resourceExhausted, `A request has more than ${MAX_MESSAGE_BYTES} bytes.`);
  }
  if (bytes[0] !== 0) throw new GrpcStatus(GRPC.internal, 'A request is compressed.');
  return length;
}

/** Sends what the method has to say. */
export interface Sender {
  /** Framed messages. Resolves when there is room for more; rejects when the call has ended. */
  send(frames: Buffer): Promise<void>;
}

export function makeSender(stream: ServerHttp2Stream): Sender {
  let room: Promise<void> | null = null;
  /** Of all who wait at once, so that their number adds no listeners. */
  const untilRoom = (): Promise<void> => {
    room ??= new Promise<void>((resolve, reject) => {
      const done = (): void => {
        stream.off('drain', done).off('close', done);
        room = null;
        if (stream.destroyed) reject(new Error('The call has ended.'));
        else resolve();
      };
      stream.on('drain', done).on('close', done);
    });
    return room;
  };
  return {
    async send(frames) {
      if (stream.destroyed || stream.writableEnded) throw new Error('The call has ended.');
      if (!stream.write(frames)) await untilRoom();
    },
  };
}
