/**
 * A server of unary gRPC calls over one connection that exists already, as BuildKit's session needs it: there the engine
 * opened the connection and is the client (gRPC over HTTP/2, PROTOCOL-HTTP2.md of grpc/grpc).
 */
import { performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';

/** Requests are names of secrets and hosts: what is longer is no request. */
const MAX_REQUEST_BYTES = 65_536;
/** One byte "compressed", four bytes of length. */
const PREFIX_BYTES = 5;
const MAX_STREAMS = 100;
/** Headers and buffers of all streams of a connection together, in megabytes (node:http2). */
const MAX_SESSION_MEMORY = 4;

/** The status codes that are used here (statuscodes.md of grpc/grpc). */
export const GRPC = { ok: 0, notFound: 5, resourceExhausted: 8, unimplemented: 12, internal: 13 } as const;

/** Thrown by a method: the call ends with this status. */
export class GrpcStatus extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** From the bytes of the request message to those of the answer. May throw {@link GrpcStatus}. */
export type UnaryMethod = (request: Buffer) => Uint8Array;

/**
 * Serves `methods` ("/package.Service/Method" → what answers it) on `connection` until it is closed.
 * A broken connection is no error here: the build that needs it tells.
 */
export function serveGrpc(connection: Duplex, methods: ReadonlyMap<string, UnaryMethod>): { close(): void } {
  const session = performServerHandshake(connection, {
    maxSessionMemory: MAX_SESSION_MEMORY,
    settings: { maxConcurrentStreams: MAX_STREAMS, enablePush: false },
  });
  session.on('error', () => session.destroy());
  session.on('stream', (stream, headers) => {
    stream.on('error', () => stream.destroy()); // the engine went away in the middle of a call
    void answer(stream, headers, methods);
  });
  return {
    close() {
      session.destroy();
      connection.destroy();
    },
  };
}

async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: ReadonlyMap<string, UnaryMethod>,
): Promise<void> {
  try {
    const method = methods.get(headers[':path'] ?? '');
    if (method === undefined) throw new GrpcStatus(GRPC.unimplemented, 'There is no such method.');
    succeed(stream, method(await readMessage(stream)));
  } catch (error) {
    fail(stream, error instanceof GrpcStatus ? error : new GrpcStatus(GRPC.internal, 'The call failed.'));
  }
}

/** The one message of a unary call. */
async function readMessage(stream: ServerHttp2Stream): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  // Not destroyed on the way out: the answer to what is too long goes over the same stream.
  for await (const part of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > PREFIX_BYTES + MAX_REQUEST_BYTES) {
      throw new GrpcStatus(GRPC.resourceExhausted, `A request has more than ${MAX_REQUEST_BYTES} bytes.`);
    }
    parts.push(part);
  }
  const frame = Buffer.concat(parts);
  const isWhole = frame.length >= PREFIX_BYTES && frame.readUInt32BE(1) === frame.length - PREFIX_BYTES;
  // No encoding was offered to the client, so it may not compress.
  if (!isWhole || frame[0] !== 0) throw new GrpcStatus(GRPC.internal, 'The request is not one plain message.');
  return frame.subarray(PREFIX_BYTES);
}

const HEADERS: OutgoingHttpHeaders = { ':status': 200, 'content-type': 'application/grpc' };

function succeed(stream: ServerHttp2Stream, message: Uint8Array): void {
  if (stream.destroyed) return;
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(GRPC.ok) }));
  stream.end(Buffer.concat([prefix, message]));
}

/** "Trailers-Only": an answer without a message. */
function fail(stream: ServerHttp2Stream, { code, message }: GrpcStatus): void {
  if (stream.destroyed || stream.headersSent) return;
  const status = { 'grpc-status': String(code), 'grpc-message': encodeURIComponent(message) };
  stream.respond({ ...HEADERS, ...status }, { endStream: true });
  stream.resume(); // the rest of a request that nobody reads
}
