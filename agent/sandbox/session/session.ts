/**
 * A build session (moby/buildkit session/): a connection on which the engine, while it builds, requests the Dockerfile,
 * the files of the context, the secrets of `RUN --mount=type=secret` and logins of registries. So secrets and logins
 * are in no argument, no build arg and no layer.
 */
import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RegistryLogin } from '../../../protocol/job.ts';
import type { Engine } from '../../lib/engine.ts';
import { findLogin } from '../../registry/login.ts';
import { type FilePackets, loadFilePackets } from './file-packets.ts';
import { type Sync, type SyncRecord, type Tree, fileSync, newRecord } from './file-sync.ts';
import { type Method, serveGrpc, unary } from './grpc.ts';
import { GRPC, GrpcStatus } from './grpc-status.ts';
import { type SessionMessages, loadMessages } from './messages.ts';

/** ServingStatus SERVING of grpc.health.v1. The engine polls it every few seconds, and drops a session without it. */
const SERVING = 1;

/** The only file that the engine requests on its own, before the context. */
const IGNORE_FILE = '.dockerignore';

interface SessionContent {
  /** Identifies the earlier context that the engine compares this one with. Other keys share nothing with it. */
  readonly sharedKey: string;
  readonly context: Tree;
  /** The folder of the Dockerfile, with nothing else in it. */
  readonly dockerfile: Tree;
  /** Secret id as in the Dockerfile that is built → value. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly registries: readonly RegistryLogin[];
}

export interface BuildSession {
  /** The `session` parameter of the build. */
  readonly id: string;
  /** The part of the context that the engine has requested. */
  readonly sync: Readonly<SyncRecord>;
  /** Closes the session: the engine gets nothing more. */
  close(): void;
}

/**
 * Opens a session with `engine`. It must be closed, however the build ends.
 * @throws OrkestrError ORK_ENGINE_UNREACHABLE, ORK_ENGINE_TIMEOUT, ORK_CANCELLED
 */
export async function openSession(engine: Engine, content: SessionContent, signal: AbortSignal): Promise<BuildSession> {
  const sync = newRecord();
  const methods = methodsFor(content, sync, await loadMessages(), await loadFilePackets());
  const id = randomUUID();
  const connection = await engine.call(
    'open a build session',
    (_docker, abortSignal) => upgrade(engine.socketPath, id, content.sharedKey, [...methods.keys()], abortSignal),
    { signal },
  );
  const server = serveGrpc(connection, methods);
  return { id, sync, close: () => server.close() };
}

function methodsFor(
  content: SessionContent,
  sync: SyncRecord,
  messages: SessionMessages,
  packets: FilePackets,
): ReadonlyMap<string, Method> {
  const { secrets, registries } = content;
  return new Map<string, Method>([
    ['/grpc.health.v1.Health/Check', unary(() => messages.writeHealthAnswer({ status: SERVING }))],
    ['/moby.filesync.v1.FileSync/DiffCopy', fileSync(packets, (name, paths) => syncOf(content, sync, name, paths))],
    [
      '/moby.buildkit.secrets.v1.Secrets/GetSecret',
      unary((bytes) => {
        const value = secrets.get(messages.readSecretRequest(bytes).id);
        // The engine then mounts nothing, or fails if the mount is required.
        if (value === undefined) throw new GrpcStatus(GRPC.notFound, 'There is no such secret.');
        return messages.writeSecretAnswer({ data: Buffer.from(value) });
      }),
    ],
    [
      '/moby.filesync.v1.Auth/Credentials',
      unary((bytes) => {
        const login = findLogin(registries, messages.readLoginRequest(bytes).host);
        // Empty: the engine accesses the registry anonymously.
        return messages.writeLoginAnswer({ username: login?.username ?? '', secret: login?.password ?? '' });
      }),
    ],
  ]);
}

/**
 * Sends the whole context, whatever part the Dockerfile copies and whatever .dockerignore says: ignored files are
 * already left out, and the engine's copy stays comparable when the Dockerfile changes.
 */
function syncOf({ context, dockerfile }: SessionContent, record: SyncRecord, name: string, paths: string): Sync | null {
  if (name === 'dockerfile') return { tree: dockerfile, record: newRecord() };
  if (name !== 'context') return null;
  if (paths !== IGNORE_FILE) return { tree: context, record };
  return { tree: context.filter((entry) => entry.name === IGNORE_FILE), record: newRecord() };
}

/** POST /session of the engine's API, upgraded to HTTP/2 with the engine as the client. */
function upgrade(
  socketPath: string,
  id: string,
  sharedKey: string,
  methods: readonly string[],
  signal: AbortSignal,
): Promise<Duplex> {
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
        'x-docker-expose-session-sharedkey': sharedKey,
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
