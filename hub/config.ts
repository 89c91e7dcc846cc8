/** The hub's settings: the only place of the hub that reads environment variables. */
import { z } from 'zod';
import { OrkestrError } from '../protocol/errors.ts';
import { withHostSettings } from '../protocol/service/installation.ts';
import type { SupervisorEnv } from '../protocol/service/systemd.ts';

/** An http(s) URL without path, query or user: what other addresses are built upon. No trailing slash. */
const baseUrl = z
  .url({ protocol: /^https?$/ })
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text.replace(/\/$/, ''),
    'scheme, host and port only',
  )
  .transform((text) => new URL(text).origin);

const listenAddress = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'host:port, for example 127.0.0.1:7700')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'a port is at most 65535');

/** As install.sh takes it. */
const emailAddress = z.string().regex(/^[^\s@"]+@[^\s@"]+$/, 'an e-mail address');

const flag = z.enum(['0', '1']).transform((text) => text === '1');

const Environment = z.object({
  ORKESTR_HUB_STATE: z.string().min(1).default('/var/lib/orkestr/hub'),
  ORKESTR_HUB_LISTEN: listenAddress.prefault('127.0.0.1:7700'),
  ORKESTR_HUB_URL: baseUrl.optional(),
  ORKESTR_HUB_ACME_EMAIL: emailAddress.optional(),
  ORKESTR_APPS_URL: baseUrl.prefault('http://localhost:8080'),
  ORKESTR_ALLOW_HTTP_REPOSITORIES: flag.prefault('0'),
  ORKESTR_HUB_RELEASES: z.string().startsWith('/', 'an absolute path').optional(),
  ORKESTR_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  NOTIFY_SOCKET: z.string().optional(),
  WATCHDOG_USEC: z.string().optional(),
});

export interface HubConfig {
  /** Folder of hub.sqlite, secret.key, hub-key.pem and git/; mode 0700. */
  readonly stateFolder: string;
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Public URL; undefined: http and the address it listens on. */
  readonly publicUrl: string | undefined;
  /** Whom the CA of certificates may write to; undefined: nobody, and hosts that join ask for none. */
  readonly acmeEmail: string | undefined;
  /** Scheme, host and port below which apps without a domain of their own are reached. */
  readonly appsUrl: string;
  /** Whether external repositories may be fetched without TLS. */
  readonly allowHttpRepositories: boolean;
  /** Folder of the release that hosts get from here; undefined: none. */
  readonly releaseFolder: string | undefined;
  readonly logLevel: string;
  readonly supervisor: SupervisorEnv;
}

/**
 * The settings in `env`, with defaults.
 * @param env defaults to this process's, with what /etc/orkestr/hub.env has beside it
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
    acmeEmail: data.ORKESTR_HUB_ACME_EMAIL,
    appsUrl: data.ORKESTR_APPS_URL,
    allowHttpRepositories: data.ORKESTR_ALLOW_HTTP_REPOSITORIES,
    releaseFolder: data.ORKESTR_HUB_RELEASES,
    logLevel: data.ORKESTR_LOG_LEVEL,
    supervisor: { NOTIFY_SOCKET: data.NOTIFY_SOCKET, WATCHDOG_USEC: data.WATCHDOG_USEC },
  };
}
