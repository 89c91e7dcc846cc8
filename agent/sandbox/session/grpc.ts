/**
 * A server of gRPC calls over one connection that exists already, as BuildKit's session needs it: there the engine opened
 * the connection and is the client (gRPC over HTTP/2, PROTOCOL-HTTP2.md of grpc/grpc).
 */
import { performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { GRPC, GrpcStatus } from './grpc-status.ts';
import { type Sender, frame, makeSender, messagesOf } from './grpc-stream.ts';

const MAX_STREAMS = 100;
/** Headers and buffers of all streams of a connection together, in megabytes (node:http2). */
const MAX_SESSION_MEMORY = 4;

/** A call in which both sides send as many messages as they like. */
export interface Call {
  readonly headers: IncomingHttpHeaders;
  /** Until the client has sent all. Read it: a client that sends more than it may ends the call. */
  readonly messages: AsyncGenerator<Buffer>;
  readonly sender: Sender;
}

/** Resolves when all is said. May throw {@link GrpcStatus}; whatever else it throws, the client learns only that it failed. */
export type Method = (call: Call) => Promise<void>;

/** A method with one message and one answer. */
export function unary(answer: (request: Buffer) => Uint8Array): Method {
  return async ({ messages, sender }) => {
    const requests: Buffer[] = [];
    for await (const message of messages) {
      requests.push(message);
      if (requests.length > 1) break;
    }
    const [request] = requests;
    if (request === undefined || requests.length > 1) {
      throw new GrpcStatus(GRPC.internal, 'The request is not one message.');
    }
    await sender.send(frame(answer(request)));
  };
}

/**
 * Serves `methods` ("/package.Service/Method" → what answers it) on `connection` until it is closed.
 * A broken connection is no error here: the build that needs it tells.
 */
export function serveGrpc(connection: Duplex, methods: ReadonlyMap<string, Method>): { close(): void } {
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

const HEADERS: OutgoingHttpHeaders = { ':status': 200, 'content-type': 'application/grpc' };

async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: ReadonlyMap<string, Method>,
): Promise<void> {
  let status = new GrpcStatus(GRPC.ok, '');
  stream.on('wantTrailers', () => stream.sendTrailers(trailersOf(status)));
  try {
    const method = methods.get(headers[':path'] ?? '');
    if (method === undefined) throw new GrpcStatus(GRPC.unimplemented, 'There is no such method.');
    stream.respond(HEADERS, { waitForTrailers: true });
    await method({ headers, messages: messagesOf(stream), sender: makeSender(stream) });
  } catch (error) {
    status = error instanceof GrpcStatus ? error : new GrpcStatus(GRPC.internal, 'The call failed.');
  }
  if (stream.destroyed) return;
  if (stream.headersSent) stream.end();
  else stream.respond({ ...HEADERS, ...trailersOf(status) }, { endStream: true }); // "Trailers-Only"
  stream.resume(); // the rest of a request that nobody reads
}

const trailersOf = ({ code, message }: GrpcStatus): OutgoingHttpHeaders => ({
  'grpc-status': String(code),
  ...(message !== '' && { 'grpc-message': encodeURIComponent(message) }),
});
