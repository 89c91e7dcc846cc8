/**
 * Serves gRPC calls on one existing connection, as BuildKit's session requires: the engine is the client on a
 * connection that we opened to it (gRPC over HTTP/2, PROTOCOL-HTTP2.md of grpc/grpc).
 */
import { performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { GRPC, GrpcStatus } from './grpc-status.ts';
import { type Sender, frame, makeSender, messagesOf } from './grpc-stream.ts';

const MAX_STREAMS = 100;
/** Headers and buffers of all streams of a connection together, in megabytes (node:http2). */
const MAX_SESSION_MEMORY = 4;

/** A call in which both sides may send any number of messages. */
export interface Call {
  readonly headers: IncomingHttpHeaders;
  /** Ends when the client has sent all. Must be read: it ends the call if the client sends an invalid message. */
  readonly messages: AsyncGenerator<Buffer>;
  readonly sender: Sender;
}

/** Resolves when the call is complete. May throw {@link GrpcStatus}; the client gets no details of other errors. */
export type Method = (call: Call) => Promise<void>;

/** A method with one request message and one response message. */
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
 * Serves `methods` ("/package.Service/Method" → handler) on `connection` until it is closed. Ignores a broken
 * connection: the build that needs it reports it.
 */
export function serveGrpc(connection: Duplex, methods: ReadonlyMap<string, Method>): { close(): void } {
  const session = performServerHandshake(connection, {
    maxSessionMemory: MAX_SESSION_MEMORY,
    settings: { maxConcurrentStreams: MAX_STREAMS, enablePush: false },
  });
  session.on('error', () => session.destroy());
  session.on('stream', (stream, headers) => {
    stream.on('error', () => stream.destroy()); // the engine disconnected during a call
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
  stream.resume(); // discards the unread rest of the request
}

const trailersOf = ({ code, message }: GrpcStatus): OutgoingHttpHeaders => ({
  'grpc-status': String(code),
  ...(message !== '' && { 'grpc-message': encodeURIComponent(message) }),
});
