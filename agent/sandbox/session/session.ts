/**
 * A build session (moby/buildkit session/): a connection on which the engine asks us, while it builds, for the secrets of
 * `RUN --mount=type=secret` and for logins of registries. So they are in no argument, no build arg and no layer.
 */
import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RegistryLogin } from '../../../protocol/job.ts';
import type { Engine } from '../../lib/engine.ts';
import { findLogin } from '../../registry/login.ts';
import { GRPC, GrpcStatus, type UnaryMethod, serveGrpc } from './grpc.ts';
import { loadMessages } from './messages.ts';

/** ServingStatus SERVING of grpc.health.v1. The engine drops a session that does not say so every few seconds. */
const SERVING = 1;

export interface SessionContent {
  /** Secret id as the Dockerfile that is built names it → value. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly registries: readonly RegistryLogin[];
}

export interface BuildSession {
  /** What the build names as its `session`. */
  readonly id: string;
  /** Ends it: the engine gets nothing more. */
  close(): void;
}

/**
 * Opens a session of `engine`. It must be closed, however the build ends.
 * @throws OrkestrError ORK_ENGINE_UNREACHABLE, ORK_ENGINE_TIMEOUT, ORK_CANCELLED
 */
export async function openSession(engine: Engine, content: SessionContent, signal: AbortSignal): Promise<BuildSession> {
  const methods = await methodsFor(content);
  const id = randomUUID();
  const connection = await engine.call(
    'open a build session',
    (_docker, abortSignal) => upgrade(engine.socketPath, id, [...methods.keys()], abortSignal),
    { signal },
  );
  const server = serveGrpc(connection, methods);
  return { id, close: () => server.close() };
}

async function methodsFor({ secrets, registries }: SessionContent): Promise<ReadonlyMap<string, UnaryMethod>> {
  const messages = await loadMessages();
  return new Map<string, UnaryMethod>([
    ['/grpc.health.v1.Health/Check', () => messages.writeHealthAnswer({ status: SERVING })],
    [
      '/moby.buildkit.secrets.v1.Secrets/GetSecret',
      (bytes) => {
        const value = secrets.get(messages.readSecretRequest(bytes).id);
        // The engine then mounts nothing, or fails when the mount is required.
        if (value === undefined) throw new GrpcStatus(GRPC.notFound, 'There is no such secret.');
        return messages.writeSecretAnswer({ data: Buffer.from(value) });
      },
    ],
    [
      '/moby.filesync.v1.Auth/Credentials',
      (bytes) => {
        const login = findLogin(registries, messages.readLoginRequest(bytes).host);
        // Empty: the engine asks the registry as nobody.
        return messages.writeLoginAnswer({ username: login?.username ?? '', secret: login?.password ?? '' });
      },
    ],
  ]);
}

/** POST /session of the engine's API, upgraded to HTTP/2, on which the engine is the client. */
function upgrade(socketPath: string, id: string, methods: readonly string[], signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const call = httpRequest({
      socketPath,
      method: 'POST',
      path: '/session',
      signal,
      headers: {
        connection: 'Upgrade',
        upgrade: 'h2c',
        'x-docker-expose-session-uuid': id,
        'x-docker-expose-session-name': 'orkestr',
        'x-docker-expose-session-grpc-method': [...methods],
      },
    });
    call.on('upgrade', (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    call.on('response', (response) => {
      response.resume();
      reject(new Error(`The engine refused a build session: HTTP ${response.statusCode}.`));
    });
    call.on('error', reject);
    call.end();
  });
}
