/**
 * One Docker Engine behind its unix socket. Every call has a deadline, because a hung engine accepts connections and
 * never responds. The first call loads dockerode, since importing it costs 250 ms and 30 MB.
 */
import type Docker from 'dockerode';
import { OrkestrError } from '../../protocol/errors.ts';
import { type Engine, statusOf } from '../lib/engine.ts';

/** Range of API versions that this code was tested with; the engine's newest is used if it lies in between. */
export const OLDEST_API = '1.41';
export const NEWEST_API = '1.50';
const DEFAULT_TIMEOUT_MS = 30_000;

interface EngineOptions {
  readonly socketPath: string;
  /** Default deadline of a call, ms. */
  readonly timeoutMs?: number;
  /** The disk that it writes to: the host's, or one made for builds. */
  readonly disk?: keyof typeof DISK_FULL;
}

export function makeEngine(options: EngineOptions): Engine {
  const { socketPath, timeoutMs: defaultTimeout = DEFAULT_TIMEOUT_MS, disk = 'host' } = options;
  let negotiated: Promise<Docker> | undefined;

  /** One client for all calls; after a failed negotiation the next call tries again. */
  const client = (): Promise<Docker> => {
    negotiated ??= negotiate(socketPath).catch((error: unknown) => {
      negotiated = undefined;
      throw error;
    });
    return negotiated;
  };

  return {
    socketPath,
    async call(what, work, options = {}) {
      const timeoutMs = options.timeoutMs ?? defaultTimeout;
      const deadline = new AbortController();
      const given = options.signal;
      const expired = Promise.withResolvers<never>();
      const expire = (error: OrkestrError): void => {
        expired.reject(error);
        deadline.abort(error);
      };
      const cancel = (): void => expire(new OrkestrError('ORK_CANCELLED', `Cancelled while: ${what}.`));
      if (given?.aborted === true) cancel();
      given?.addEventListener('abort', cancel, { once: true });
      const timer = setTimeout(() => expire(timeoutError(what, timeoutMs, socketPath)), timeoutMs);
      const done = client().then((docker) => {
        deadline.signal.throwIfAborted(); // the caller has given up, and may have asked for something else since
        return work(docker, deadline.signal);
      });
      try {
        return await Promise.race([done, expired.promise]);
      } catch (error) {
        // Perhaps the negotiation hung: let the next call start over.
        if (deadline.signal.aborted) {
          negotiated = undefined;
          done.catch(() => undefined); // the deadline's error already covers the call's late failure
          throw deadline.signal.reason;
        }
        // The engine was replaced by another version while this process runs: the next call negotiates with that one.
        if (isOtherVersion(error)) negotiated = undefined;
        throw explain(error, what, socketPath, disk);
      } finally {
        clearTimeout(timer);
        given?.removeEventListener('abort', cancel);
      }
    },
  };
}

async function negotiate(socketPath: string): Promise<Docker> {
  const { default: Client } = await import('dockerode');
  const { ApiVersion: offered, MinAPIVersion: least } = (await new Client({ socketPath }).version()) as {
    ApiVersion: string;
    MinAPIVersion?: string;
  };
  if (older(offered, OLDEST_API)) {
    throw new OrkestrError(
      'ORK_ENGINE_UNREACHABLE',
      `Docker Engine at ${socketPath} speaks API ${offered}; orkestr needs ${OLDEST_API} (Docker 20.10) or newer.`,
    );
  }
  const best = older(offered, NEWEST_API) ? offered : NEWEST_API;
  const version = least !== undefined && older(best, least) ? least : best;
  return new Client({ socketPath, version: `v${version}` });
}

/**
 * Whether API version `a` ("1.41") is older than `b`. Not by `localeCompare`: loading collation costs 3 MB for good.
 */
export function older(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split('.').map(Number);
  const [majorOfB = 0, minorOfB = 0] = b.split('.').map(Number);
  return major === majorOfB ? minor < minorOfB : major < majorOfB;
}

function timeoutError(what: string, timeoutMs: number, socketPath: string): OrkestrError {
  return new OrkestrError(
    'ORK_ENGINE_TIMEOUT',
    `Docker Engine at ${socketPath} did not answer within ${Math.round(timeoutMs / 100) / 10} s: ${what}.`,
  );
}

/**
 * "client version 1.41 is too old. Minimum supported API version is 1.44, …", or too new: sent before anything is done.
 */
const isOtherVersion = (error: unknown): boolean =>
  statusOf(error) === 400 && error instanceof Error && /client version \S+ is too (?:old|new)/.test(error.message);

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ECONNRESET', 'EPIPE']);

const DISK_FULL = {
  host: { code: 'ORK_DISK_FULL', text: 'The disk of the host is full' },
  build: { code: 'ORK_BUILD_DISK', text: 'The build disk is full' },
} as const;

function explain(error: unknown, what: string, socketPath: string, disk: keyof typeof DISK_FULL): unknown {
  if (error instanceof OrkestrError || !(error instanceof Error)) return error;
  if (/no space left on device|disk quota exceeded/i.test(error.message)) {
    const { code, text } = DISK_FULL[disk];
    return new OrkestrError(code, `${text}: ${what}.`, {
      evidence: [error.message.trim()],
      cause: error,
    });
  }
  if (isOtherVersion(error)) {
    return new OrkestrError(
      'ORK_ENGINE_UNREACHABLE',
      `Docker Engine at ${socketPath} has changed its version: ${what}.`,
      {
        evidence: [error.message.trim()],
        cause: error,
      },
    );
  }
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined && UNREACHABLE.has(code) && statusOf(error) === undefined) {
    return new OrkestrError('ORK_ENGINE_UNREACHABLE', `Docker Engine at ${socketPath} is not reachable: ${what}.`, {
      evidence: [error.message],
      cause: error,
    });
  }
  return error;
}
