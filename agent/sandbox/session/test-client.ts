/** For tests: the engine's end of a session, an independent client on a real socket. */
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type Method, serveGrpc } from './grpc.ts';

/** Two ends of one connection. */
export async function connection(t: TestContext): Promise<{ ours: Socket; engine: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const engine = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [ours] = await accepted;
  t.after(() => {
    ours.destroy();
    engine.destroy();
    server.close();
  });
  return { ours, engine };
}

export async function serve(t: TestContext, methods: Record<string, Method>): Promise<ClientHttp2Session> {
  const { ours, engine } = await connection(t);
  const server = serveGrpc(ours, new Map(Object.entries(methods)));
  const client = connectHttp2('http://localhost', { createConnection: () => engine });
  client.on('error', () => undefined); // some tests break the connection
  t.after(() => {
    client.destroy();
    server.close();
  });
  return client;
}

export function frame(message: Uint8Array, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}
