/** The hub's settings. No other file of the hub reads environment variables. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import { OrkestrError } from '../protocol/errors.ts';
import { HostName } from '../protocol/ids.ts';
import { withHostSettings } from '../protocol/service/installation.ts';
import type { SupervisorEnv } from '../protocol/service/systemd.ts';
import { LABEL_LENGTH } from './domains.ts';

/** An http(s) URL without path, query or user, no trailing slash: the base of other URLs. */
const baseUrl = z
  .url({ protocol: /^https?$/ })
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text.replace(/\/$/, ''),
    'scheme, host and port only',
  )
  .transform((text) => new URL(text).origin);

/** Base URL of the apps' domains. A domain with one more label must still be a valid host name. */
const appsUrl = baseUrl.refine((text) => {
  const { hostname } = new URL(text);
  return isIP(hostname) === 0 && HostName.safeParse(`${'a'.repeat(LABEL_LENGTH)}.${hostname}`).success;
}, 'a host name below which apps get theirs: no IP address, no "_", no dot at its end');

const listenAddress = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'host:port, for example 127.0.0.1:7700')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'a port is at most 65535');

/** The same pattern as in install.sh. */
export const emailAddress = z
  .string()
  .max(254)
  .regex(/^[^\s@"]+@[^\s@"]+$/, 'an e-mail address');

/** `smtp://` switches to TLS by STARTTLS, `smtps://` starts with it. */
const mailServer = z
  .url({ protocol: /^smtps?$/ })
  .refine(
    (text) => URL.canParse(text) && /^smtps?:\/\/[^/?#@]+\/?$/.test(text),
    'smtp://HOST:PORT or smtps://HOST:PORT, without a user',
  )
  .transform((text) => {
    const { protocol, hostname, port } = new URL(text);
    const secure = protocol === 'smtps:';
    return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (secure ? 465 : 587), secure };
  });

/** Addresses and networks, comma-separated, each normalized to ADDRESS/BITS. */
const networks = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  )
  .transform((parts) => parts.map((part) => (part.includes('/') ? part : `${part}/${isIP(part) === 6 ? 128 : 32}`)))
  .refine((parts) => parts.every(isNetwork), 'addresses or networks, for example 10.0.0.5,10.1.0.0/16');

const flag = z.enum(['0', '1']).transform((text) => text === '1');

const Environment = z.object({
  ORKESTR_HUB_STATE: z.string().min(1).default('/var/lib/orkestr/hub'),
  ORKESTR_HUB_LISTEN: listenAddress.prefault('127.0.0.1:7700'),
  ORKESTR_HUB_URL: baseUrl.optional(),
  ORKESTR_HUB_TRUSTED: networks.prefault(''),
  ORKESTR_HUB_ACME_EMAIL: emailAddress.optional(),
  ORKESTR_APPS_URL: appsUrl.prefault('http://localhost:8080'),
  ORKESTR_ALLOW_HTTP_REPOSITORIES: flag.prefault('0'),
  ORKESTR_HUB_RELEASES: z.string().startsWith('/', 'an absolute path').optional(),
  ORKESTR_HUB_HOST_AWAY_MINUTES: z.coerce.number().int().min(1).max(1440).default(5),
  ORKESTR_HUB_NOTIFY_PRIVATE: flag.prefault('1'),
  ORKESTR_HUB_NOTIFY_ALLOW: networks.prefault(''),
  ORKESTR_HUB_SMTP_URL: mailServer.optional(),
  ORKESTR_HUB_SMTP_FROM: z.string().min(3).max(320).optional(),
  ORKESTR_HUB_SMTP_USER: z.string().min(1).optional(),
  ORKESTR_HUB_SMTP_PASSWORD: z.string().min(1).optional(),
  ORKESTR_HUB_SMTP_PASSWORD_FILE: z.string().startsWith('/', 'an absolute path').optional(),
  ORKESTR_HUB_SMTP_PLAIN: flag.prefault('0'),
  ORKESTR_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  NOTIFY_SOCKET: z.string().optional(),
  WATCHDOG_USEC: z.string().optional(),
});

export interface HubConfig {
  /** Folder of hub.sqlite, secret.key, hub-key.pem and git/; mode 0700. */
  readonly stateFolder: string;
  /** Port 0 takes any free port. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Public URL; undefined: http and the listen address. */
  readonly publicUrl: string | undefined;
  /** Networks whose X-Forwarded-For is trusted: this machine's proxy, and the networks of the setting. */
  readonly trusted: readonly string[];
  /** Contact address for the CA; undefined: none, and hosts that join request no certificates. */
  readonly acmeEmail: string | undefined;
  /** Scheme, host and port below which apps without a domain of their own are reached. */
  readonly appsUrl: string;
  /** Whether external repositories may be fetched without TLS. */
  readonly allowHttpRepositories: boolean;
  /** Folder of the release that the hub serves to hosts; undefined: none. */
  readonly releaseFolder: string | undefined;
  /** How long a host may be offline before receivers are notified, minutes. */
  readonly hostAwayMinutes: number;
  /** Where, beside the internet, notifications may be sent and external repositories may be located. */
  readonly notify: {
    readonly allowPrivate: boolean;
    /** Networks that are always allowed. */
    readonly allow: readonly string[];
  };
  /** Undefined: the hub cannot send mail. */
  readonly mail: MailServer | undefined;
  readonly logLevel: string;
  readonly supervisor: SupervisorEnv;
}

export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte. */
  readonly secure: boolean;
  /** Without TLS: for a relay on the same machine or network. */
  readonly plain: boolean;
  readonly from: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/**
 * The settings in `env`, with defaults.
 * @param env defaults to the environment of this process, completed from /etc/orkestr/hub.env
 * @throws OrkestrError ORK_CONFIG, naming each variable that is wrong.
 */
export function readConfig(env: NodeJS.ProcessEnv = withHostSettings('hub', process.env)): HubConfig {
  const parsed = Environment.safeParse(env);
  if (!parsed.success) {
    const evidence = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new OrkestrError('ORK_CONFIG', `These settings are wrong: ${evidence.join('; ')}.`, { evidence });
  }
  const { data } = parsed;
  return {
    stateFolder: data.ORKESTR_HUB_STATE,
    listen: data.ORKESTR_HUB_LISTEN,
    publicUrl: data.ORKESTR_HUB_URL,
    trusted: [...ownNetworks(data.ORKESTR_HUB_LISTEN.host), ...data.ORKESTR_HUB_TRUSTED],
    acmeEmail: data.ORKESTR_HUB_ACME_EMAIL,
    appsUrl: data.ORKESTR_APPS_URL,
    allowHttpRepositories: data.ORKESTR_ALLOW_HTTP_REPOSITORIES,
    releaseFolder: data.ORKESTR_HUB_RELEASES,
    hostAwayMinutes: data.ORKESTR_HUB_HOST_AWAY_MINUTES,
    notify: { allowPrivate: data.ORKESTR_HUB_NOTIFY_PRIVATE, allow: data.ORKESTR_HUB_NOTIFY_ALLOW },
    mail: mailOf(data),
    logLevel: data.ORKESTR_LOG_LEVEL,
    supervisor: { NOTIFY_SOCKET: data.NOTIFY_SOCKET, WATCHDOG_USEC: data.WATCHDOG_USEC },
  };
}

/** A proxy on this machine connects from loopback, or from the very address that it dials. */
function ownNetworks(listenHost: string): string[] {
  const version = isIP(listenHost);
  const isOne = version !== 0 && !/^[0:.]+$/.test(listenHost);
  return ['127.0.0.0/8', '::1/128', ...(isOne ? [`${listenHost}/${version === 6 ? 128 : 32}`] : [])];
}

function mailOf(data: z.infer<typeof Environment>): MailServer | undefined {
  const { ORKESTR_HUB_SMTP_URL: server, ORKESTR_HUB_SMTP_FROM: from, ORKESTR_HUB_SMTP_USER: user } = data;
  if (server === undefined) return undefined;
  if (from === undefined) throw wrong('ORKESTR_HUB_SMTP_FROM: mail needs a sender.');
  const plain = data.ORKESTR_HUB_SMTP_PLAIN;
  if (plain && server.secure)
    throw wrong('ORKESTR_HUB_SMTP_PLAIN: cannot be combined with smtps://, which always uses TLS.');
  return { ...server, plain, from, user, password: data.ORKESTR_HUB_SMTP_PASSWORD ?? passwordIn(data) };
}

function passwordIn({ ORKESTR_HUB_SMTP_PASSWORD_FILE: file }: z.infer<typeof Environment>): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw wrong(`ORKESTR_HUB_SMTP_PASSWORD_FILE: ${file} cannot be read (${(cause as Error).message}).`, cause);
  }
}

const wrong = (what: string, cause?: unknown): OrkestrError =>
  new OrkestrError('ORK_CONFIG', `This setting is wrong: ${what}`, { cause });

function isNetwork(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  const version = isIP(address);
  return rest.length === 0 && version !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
}
