/** The proxy's settings. No other module reads its environment variables. */
import { z } from 'zod';
import { AddressRange } from '../protocol/edge.ts';
import { OrkestrError } from '../protocol/errors.ts';
import type { SupervisorEnv } from '../protocol/service/systemd.ts';

/** How long the proxy waits for what, ms. */
export interface Timeouts {
  /** A client's TLS handshake, from the accepted connection on. */
  readonly handshakeMs: number;
  /** A client's whole request head, from its first byte or from the accepted connection. */
  readonly clientHeadMs: number;
  /** An idle keep-alive client connection. */
  readonly clientIdleMs: number;
  /** A client that sends nothing of a body that is due, or reads nothing of a response that is waiting for it. */
  readonly clientStallMs: number;
  /** How long a request body may arrive at any pace; after that a minimum rate applies (body-rate.ts). */
  readonly bodyGraceMs: number;
  /** TCP connect to a target. */
  readonly connectMs: number;
  /** From the last progress of the request to the head of the target's response; a route may set less. */
  readonly responseHeadMs: number;
  /** A stream (response body, WebSocket) on which nothing moves in either direction; a route may set less. */
  readonly streamIdleMs: number;
  /** An idle connection to a target. App servers commonly allow 2 to 5 s; less than that lets us close first. */
  readonly poolIdleMs: number;
  /** From our FIN until we destroy a connection whose peer does not close. */
  readonly closeMs: number;
  /** From SIGTERM until everything still in flight is cut. */
  readonly shutdownMs: number;
}

export interface Limits {
  /** Request line and header fields together, bytes. More is answered 431. */
  readonly headBytes: number;
  /** Header fields of one request. More is answered 431. */
  readonly headerFields: number;
  /** Client connections at once; more are refused by closing them. */
  readonly connections: number;
  /** Of those, connections of one client address (IPv6: of one /64). */
  readonly connectionsPerAddress: number;
  /** Idle connections kept per target. */
  readonly poolPerTarget: number;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Which exchanges the access log records: none, or all failed ones and a share of the others (0 none, 1 all). */
export type AccessLogMode = 'off' | { readonly share: number };

interface AcmeSettings {
  /** Directory URLs, tried in this order. */
  readonly directories: readonly string[];
  readonly email: string | null;
  /** PEM file of a CA to trust for the directories' own https, in addition to Node's CAs; null: only Node's. */
  readonly caFile: string | null;
  /** Public addresses of this host, in addition to those of its interfaces. */
  readonly publicAddresses: readonly string[];
}

/** What a socket is for, by its name in LISTEN_FDNAMES (sd_listen_fds(3)); any other name means http. */
type SocketPurpose = 'http' | 'https' | 'admin';

interface InheritedSocket {
  readonly fd: number;
  readonly kind: SocketPurpose;
}

export interface Config {
  readonly listen: ListenAddress;
  /** Null: no TLS. */
  readonly listenTls: ListenAddress | null;
  /** `http-proxy`: the general engine serves all traffic. */
  readonly engine: 'fast' | 'http-proxy';
  /** Processes that serve. */
  readonly workers: number;
  /** Addresses and networks whose X-Forwarded-* fields are believed. */
  readonly trusted: readonly string[];
  /** True: connections from `trusted` addresses begin with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
  readonly accessLog: AccessLogMode;
  /** Folder of certificates and keys; null: none. */
  readonly certificates: string | null;
  readonly acme: AcmeSettings | null;
  /** Sockets passed by systemd or by the previous proxy. If listening ones are among them, `listen` is not used. */
  readonly inherited: readonly InheritedSocket[];
  /** True when another proxy has started this one as its successor (docs/adr/0012). */
  readonly isSuccessor: boolean;
  /** The release's program that started this one and will start its successor; null: run from sources. */
  readonly launcher: string | null;
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
  handshakeMs: 10_000,
  clientHeadMs: 10_000,
  clientIdleMs: 65_000,
  clientStallMs: 60_000,
  bodyGraceMs: 20_000,
  connectMs: 5_000,
  responseHeadMs: 3_600_000,
  streamIdleMs: 86_400_000,
  poolIdleMs: 4_000,
  closeMs: 2_000,
  shutdownMs: 20_000,
};

export const DEFAULT_LIMITS: Limits = {
  headBytes: 16_384,
  headerFields: 100,
  connections: 20_000,
  connectionsPerAddress: 2_000,
  poolPerTarget: 1_024,
};

/** sun_path of unix(7) holds 108 bytes with its NUL; the rest is left for a suffix of the admin socket's path. */
const socketPath = () =>
  z
    .string()
    .startsWith('/', 'an absolute path')
    .refine((path) => Buffer.byteLength(path) < 100, 'a path shorter than 100 bytes');

const listen = () =>
  z.string().transform((text, context): ListenAddress => {
    const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
    const host = bracketed ?? plain;
    const port = Number(digits);
    if (host !== undefined && port <= 65_535) return { host, port };
    context.addIssue({ code: 'custom', message: 'an address and port like 0.0.0.0:8080 or [::]:8080' });
    return z.NEVER;
  });

const list = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const accessLog = () =>
  z.string().transform((text, context): AccessLogMode => {
    if (text === 'off') return 'off';
    const share = text === 'all' ? 1 : text === 'errors' ? 0 : Number(text);
    if (text !== '' && share >= 0 && share <= 1) return { share };
    context.addIssue({ code: 'custom', message: 'off, errors, all, or a share like 0.01' });
    return z.NEVER;
  });

const MAX_WORKERS = 64;
/** The most that a proxy hands over: an http socket per worker, one for https, and the admin socket from systemd. */
const MAX_SOCKETS = 2 * MAX_WORKERS + 1;

/** A function, so that the schema can be collected after use: it takes 0.2 MB that an idle proxy does not need. */
const environment = () =>
  z.object({
    ORKESTR_PROXY_LISTEN: listen().default({ host: '0.0.0.0', port: 8080 }),
    ORKESTR_PROXY_LISTEN_TLS: z.union([z.literal('').transform(() => null), listen()]).default(null),
    ORKESTR_PROXY_ENGINE: z.enum(['fast', 'http-proxy']).default('fast'),
    ORKESTR_PROXY_WORKERS: z.coerce.number().int().min(1).max(MAX_WORKERS).default(1),
    ORKESTR_PROXY_TRUSTED: z.string().transform(list).pipe(z.array(AddressRange).max(1000)).default([]),
    ORKESTR_PROXY_PROTOCOL: z.enum(['off', 'accept']).default('off'),
    ORKESTR_PROXY_CONNECTIONS_PER_ADDRESS: z.coerce
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(DEFAULT_LIMITS.connectionsPerAddress),
    ORKESTR_PROXY_ACCESS_LOG: accessLog().default({ share: 0.01 }),
    ORKESTR_PROXY_CERTIFICATES: z.string().startsWith('/', 'an absolute path').optional(),
    ORKESTR_PROXY_ACME: z
      .string()
      .transform(list)
      .pipe(z.array(z.url({ protocol: /^https$/ })).max(5))
      .default([]),
    ORKESTR_PROXY_ACME_EMAIL: z.email().optional(),
    ORKESTR_PROXY_ACME_CA: z.string().startsWith('/', 'an absolute path').optional(),
    ORKESTR_PROXY_PUBLIC: z
      .string()
      .transform(list)
      .pipe(z.array(z.union([z.ipv4(), z.ipv6()])).max(100))
      .default([]),
    ORKESTR_PROXY_SOCKET: socketPath().default('/run/orkestr/proxy.sock'),
    ORKESTR_PROXY_STATE: z.string().startsWith('/', 'an absolute path').default('/var/lib/orkestr/proxy'),
    ORKESTR_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    LISTEN_FDS: z.coerce.number().int().min(0).max(MAX_SOCKETS).default(0),
    LISTEN_PID: z.coerce.number().int().optional(),
    LISTEN_FDNAMES: z
      .string()
      .transform((text) => text.split(':'))
      .default([]),
    ORKESTR_PROXY_SUCCESSOR: z.literal('1').optional(),
    ORKESTR_LAUNCHER: z.string().optional(),
  });

/** The first descriptor that systemd passes: SD_LISTEN_FDS_START of sd_listen_fds(3). */
const FIRST_INHERITED_FD = 3;

/**
 * @throws OrkestrError ORK_CONFIG naming each variable that is wrong
 */
export function readConfig(env: Readonly<Record<string, string | undefined>> = process.env, pid = process.pid): Config {
  const read = environment().safeParse(env);
  if (!read.success) {
    const evidence = read.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new OrkestrError('ORK_CONFIG', `The proxy's settings are not usable: ${evidence.join('; ')}.`, { evidence });
  }
  const settings = read.data;
  // Children of the unit's main process inherit these variables too, so they count only for the pid that they name.
  const isSuccessor = settings.ORKESTR_PROXY_SUCCESSOR === '1';
  const count = settings.LISTEN_PID === pid || isSuccessor ? settings.LISTEN_FDS : 0;
  return {
    listen: settings.ORKESTR_PROXY_LISTEN,
    listenTls: settings.ORKESTR_PROXY_LISTEN_TLS,
    engine: settings.ORKESTR_PROXY_ENGINE,
    workers: settings.ORKESTR_PROXY_WORKERS,
    trusted: settings.ORKESTR_PROXY_TRUSTED,
    proxyProtocol: settings.ORKESTR_PROXY_PROTOCOL === 'accept',
    accessLog: settings.ORKESTR_PROXY_ACCESS_LOG,
    certificates: settings.ORKESTR_PROXY_CERTIFICATES ?? null,
    acme:
      settings.ORKESTR_PROXY_ACME.length === 0
        ? null
        : {
            directories: settings.ORKESTR_PROXY_ACME,
            email: settings.ORKESTR_PROXY_ACME_EMAIL ?? null,
            caFile: settings.ORKESTR_PROXY_ACME_CA ?? null,
            publicAddresses: settings.ORKESTR_PROXY_PUBLIC,
          },
    inherited: Array.from({ length: count }, (_, index) => ({
      fd: FIRST_INHERITED_FD + index,
      kind: purposeOf(settings.LISTEN_FDNAMES[index]),
    })),
    isSuccessor,
    // A relative path means that it was started by hand, in a folder that a successor may not be started in.
    launcher: settings.ORKESTR_LAUNCHER?.startsWith('/') ? settings.ORKESTR_LAUNCHER : null,
    adminSocket: settings.ORKESTR_PROXY_SOCKET,
    stateDirectory: settings.ORKESTR_PROXY_STATE,
    logLevel: settings.ORKESTR_LOG_LEVEL,
    timeouts: DEFAULT_TIMEOUTS,
    limits: { ...DEFAULT_LIMITS, connectionsPerAddress: settings.ORKESTR_PROXY_CONNECTIONS_PER_ADDRESS },
    supervisor: { NOTIFY_SOCKET: env.NOTIFY_SOCKET, WATCHDOG_USEC: env.WATCHDOG_USEC },
  };
}

function purposeOf(name: string | undefined): SocketPurpose {
  return name === 'https' || name === 'admin' ? name : 'http';
}

/** The successor's environment: ours, plus the names of the sockets that it inherits from descriptor 3 on. */
export function successorEnvironment(
  purposes: readonly SocketPurpose[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string | undefined> {
  return {
    ...env,
    LISTEN_PID: undefined,
    LISTEN_FDS: String(purposes.length),
    LISTEN_FDNAMES: purposes.join(':'),
    ORKESTR_PROXY_SUCCESSOR: '1',
  };
}
