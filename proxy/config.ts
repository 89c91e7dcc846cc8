/** The settings of the proxy. The only reader of its environment. */
import { z } from 'zod';
import { OrkestrError } from '../protocol/errors.ts';
import type { SupervisorEnv } from '../protocol/service/systemd.ts';

/** How long the proxy waits, ms. */
export interface Timeouts {
  /** A client's whole request head, from its first byte or from the accepted connection. */
  readonly clientHeadMs: number;
  /** An idle keep-alive client connection. */
  readonly clientIdleMs: number;
  /** TCP connect to a target. */
  readonly connectMs: number;
  /** From the last progress of the request to the head of the target's response. */
  readonly responseHeadMs: number;
  /** A stream (response body, WebSocket) on which nothing moves in either direction. */
  readonly streamIdleMs: number;
  /** An idle connection to a target; shorter than what app servers commonly allow (2 to 5 s), so that we close first. */
  readonly poolIdleMs: number;
  /** From our FIN to the hard end of a connection whose other side does not close. */
  readonly closeMs: number;
  /** From SIGTERM to the cutting of what is still in flight. */
  readonly shutdownMs: number;
}

export interface Limits {
  /** Request line and header fields together, bytes. More is answered 431. */
  readonly headBytes: number;
  /** Header fields of one request. More is answered 431. */
  readonly headerFields: number;
  /** Client connections at once; more are refused by closing them. */
  readonly connections: number;
  /** Idle connections kept per target. */
  readonly poolPerTarget: number;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface Config {
  readonly listen: ListenAddress;
  /** File descriptors of listening sockets that systemd passed (sd_listen_fds(3)). When there are some, `listen` is not used. */
  readonly inherited: readonly number[];
  /** Path of the admin API's unix socket. */
  readonly adminSocket: string;
  /** Folder of the table file. */
  readonly stateDirectory: string;
  readonly logLevel: string;
  readonly timeouts: Timeouts;
  readonly limits: Limits;
  readonly supervisor: SupervisorEnv;
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  clientHeadMs: 10_000,
  clientIdleMs: 65_000,
  connectMs: 5_000,
  responseHeadMs: 60_000,
  streamIdleMs: 3_600_000,
  poolIdleMs: 4_000,
  closeMs: 2_000,
  shutdownMs: 20_000,
};

export const DEFAULT_LIMITS: Limits = {
  headBytes: 16_384,
  headerFields: 100,
  connections: 20_000,
  poolPerTarget: 64,
};

/** sun_path of unix(7) holds 108 bytes with its NUL; the rest is room for what people put before it. */
const SocketPath = z
  .string()
  .startsWith('/', 'an absolute path')
  .refine((path) => Buffer.byteLength(path) < 100, 'a path shorter than 100 bytes');

const Listen = z.string().transform((text, context): ListenAddress => {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port <= 65_535) return { host, port };
  context.addIssue({ code: 'custom', message: 'an address and port like 0.0.0.0:8080 or [::]:8080' });
  return z.NEVER;
});

const Environment = z.object({
  ORKESTR_PROXY_LISTEN: Listen.default({ host: '0.0.0.0', port: 8080 }),
  ORKESTR_PROXY_SOCKET: SocketPath.default('/run/orkestr/proxy.sock'),
  ORKESTR_PROXY_STATE: z.string().startsWith('/', 'an absolute path').default('/var/lib/orkestr/proxy'),
  ORKESTR_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  LISTEN_FDS: z.coerce.number().int().min(0).max(16).default(0),
  LISTEN_PID: z.coerce.number().int().optional(),
});

/** First descriptor that systemd passes: SD_LISTEN_FDS_START of sd_listen_fds(3). */
const FIRST_INHERITED_FD = 3;

/**
 * @throws OrkestrError ORK_CONFIG naming each variable that is wrong
 */
export function readConfig(env: Readonly<Record<string, string | undefined>> = process.env, pid = process.pid): Config {
  const read = Environment.safeParse(env);
  if (!read.success) {
    const evidence = read.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new OrkestrError('ORK_CONFIG', `The proxy's settings are not usable: ${evidence.join('; ')}.`, { evidence });
  }
  const settings = read.data;
  // The variables are inherited by children of the unit's main process too: they count only for the pid they name.
  const count = settings.LISTEN_PID === pid ? settings.LISTEN_FDS : 0;
  return {
    listen: settings.ORKESTR_PROXY_LISTEN,
    inherited: Array.from({ length: count }, (_, index) => FIRST_INHERITED_FD + index),
    adminSocket: settings.ORKESTR_PROXY_SOCKET,
    stateDirectory: settings.ORKESTR_PROXY_STATE,
    logLevel: settings.ORKESTR_LOG_LEVEL,
    timeouts: DEFAULT_TIMEOUTS,
    limits: DEFAULT_LIMITS,
    supervisor: { NOTIFY_SOCKET: env.NOTIFY_SOCKET, WATCHDOG_USEC: env.WATCHDOG_USEC },
  };
}
