/** The messages of a bidirectional streaming gRPC call (PROTOCOL-HTTP2.md of grpc/grpc). */
import type { ServerHttp2Stream } from 'node:http2';
import { GRPC, GrpcStatus } from './grpc-status.ts';

/** One byte "compressed", four bytes of length. */
const PREFIX_BYTES = 5;
/** A request holds a file number or a secret's name: anything longer is invalid. */
const MAX_MESSAGE_BYTES = 65_536;

/** Encodes a message for the wire. */
export function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

/**
 * The client's messages, until it ends the stream.
 * @throws GrpcStatus for a message that is too long, compressed (no encoding was offered) or truncated
 */
export async function* messagesOf(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  // Keep the stream on early return: the response uses it too.
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

/** Sends the messages of a method. */
export interface Sender {
  /** Sends framed messages. Resolves when there is room for more; rejects if the call has ended. */
  send(frames: Buffer): Promise<void>;
}

export function makeSender(stream: ServerHttp2Stream): Sender {
  let room: Promise<void> | null = null;
  /** Shared by all waiting senders, so that their number adds no listeners. */
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
