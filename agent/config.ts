/** The agent's settings: the only place that reads environment variables and config files. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { OrkestrError } from '../protocol/errors.ts';
import { withHostSettings } from '../protocol/service/installation.ts';
import type { SupervisorEnv } from '../protocol/service/systemd.ts';
import { ALL_FAILPOINTS } from './deployment/failpoint.ts';
import type { FailpointName } from './deployment/failpoint.ts';
import { BaseImages } from './detect/base-images.ts';

/** sun_path of sockaddr_un has 108 bytes, including the terminating null byte (unix(7)). */
const MAX_SOCKET_PATH = 107;
const MAX_BUILD_SLOTS = 4;
/** A week. Timers hold 24 days. */
const MAX_BUILD_IDLE_SECONDS = 604_800;

const Settings = z.object({
  ORKESTR_AGENT_STATE: z.string().min(1).default('/var/lib/orkestr/agent'),
  ORKESTR_AGENT_RUN: z.string().min(1).default('/run/orkestr'),
  ORKESTR_PROXY_SOCKET: z.string().min(1).default('/run/orkestr/proxy.sock'),
  ORKESTR_DOCKER_SOCKET: z.string().min(1).default('/var/run/docker.sock'),
  ORKESTR_BASE_IMAGES: z.string().min(1).optional(),
  ORKESTR_BUILD_SLOTS: z.coerce.number().int().min(1).max(MAX_BUILD_SLOTS).optional(),
  ORKESTR_BUILD_DISK_MIB: z.coerce
    .number()
    .int()
    .max(16_777_216)
    .refine((size) => size === 0 || size >= 256, 'at least 256, or 0 for no disk of its own')
    .optional(),
  ORKESTR_BUILD_IDLE_SECONDS: z.coerce.number().int().min(1).max(MAX_BUILD_IDLE_SECONDS).optional(),
  ORKESTR_APPS_REACH_EDGE: z
    .enum(['0', '1'], { error: '0 or 1' })
    .transform((value) => value === '1')
    .prefault('0'),
  ORKESTR_CHANNEL: z
    .string()
    .regex(/^[a-z0-9-]{1,30}$/, 'the name of a channel: small letters, digits and dashes')
    .default('stable'),
  ORKESTR_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  ORKESTR_FAILPOINT: z.enum(ALL_FAILPOINTS as [FailpointName, ...FailpointName[]]).optional(),
});

export interface Config {
  readonly stateFolder: string;
  readonly agentSocket: string;
  /** Folder of the build engines' sockets and runtime files. */
  readonly sandboxFolder: string;
  /** Number of concurrent builds. */
  readonly buildSlots: number;
  /** Size of each slot's disk. Null: chosen by the host's free space; 0: no disk of its own. */
  readonly buildDiskMiB: number | null;
  /** How long an idle build engine is kept. Null: the sandbox's default. */
  readonly buildIdleSeconds: number | null;
  /** Apps may connect to TCP ports 80 and 443 of the host (docs/adr/0047). */
  readonly appsReachEdge: boolean;
  readonly proxySocket: string;
  readonly dockerSocket: string;
  readonly baseImages: BaseImages;
  /** The channel whose newest version an upgrade installs if no version is named. */
  readonly channel: string;
  readonly logLevel: string;
  readonly failpoint: FailpointName | null;
  readonly supervisor: SupervisorEnv;
}

/**
 * @param env defaults to this process's environment plus the settings of /etc/orkestr/agent.env; an empty value counts
 *   as unset
 * @throws OrkestrError ORK_CONFIG naming the variable
 */
export function readConfig(env: NodeJS.ProcessEnv = withHostSettings('agent', process.env)): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const settings = Settings.safeParse(given);
  if (!settings.success) {
    const [issue] = settings.error.issues;
    throw new OrkestrError('ORK_CONFIG', `${issue?.path.join('.') ?? 'A setting'}: ${issue?.message ?? 'not valid'}.`);
  }
  const { data } = settings;
  const runFolder = resolve(data.ORKESTR_AGENT_RUN);
  return {
    stateFolder: resolve(data.ORKESTR_AGENT_STATE),
    agentSocket: socketPath('ORKESTR_AGENT_RUN', join(runFolder, 'agent.sock')),
    sandboxFolder: sandboxFolder(runFolder),
    buildSlots: data.ORKESTR_BUILD_SLOTS ?? defaultSlots(availableParallelism()),
    buildDiskMiB: data.ORKESTR_BUILD_DISK_MIB ?? null,
    buildIdleSeconds: data.ORKESTR_BUILD_IDLE_SECONDS ?? null,
    appsReachEdge: data.ORKESTR_APPS_REACH_EDGE,
    proxySocket: socketPath('ORKESTR_PROXY_SOCKET', resolve(data.ORKESTR_PROXY_SOCKET)),
    dockerSocket: socketPath('ORKESTR_DOCKER_SOCKET', resolve(data.ORKESTR_DOCKER_SOCKET)),
    baseImages: readBaseImages(data.ORKESTR_BASE_IMAGES),
    channel: data.ORKESTR_CHANNEL,
    logLevel: data.ORKESTR_LOG_LEVEL,
    failpoint: data.ORKESTR_FAILPOINT ?? null,
    supervisor: { NOTIFY_SOCKET: env['NOTIFY_SOCKET'], WATCHDOG_USEC: env['WATCHDOG_USEC'] },
  };
}

/** Half of the cores are left to the apps. */
const defaultSlots = (cores: number): number => Math.min(MAX_BUILD_SLOTS, Math.max(1, Math.floor(cores / 2)));

/** Checks the longest socket path below it: one of a slot's containerd. */
function sandboxFolder(runFolder: string): string {
  const folder = join(runFolder, 'sandbox');
  socketPath('ORKESTR_AGENT_RUN', join(folder, 'a', 'exec', 'containerd', 'containerd.sock.ttrpc'));
  return folder;
}

function socketPath(variable: string, path: string): string {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  throw new OrkestrError('ORK_CONFIG', `${variable}: ${path} is too long for a unix socket.`);
}

function readBaseImages(path: string | undefined): BaseImages {
  if (path === undefined) return BaseImages.parse({});
  try {
    return BaseImages.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new OrkestrError('ORK_CONFIG', `ORKESTR_BASE_IMAGES: ${path} is not a map of base images.`, { cause });
  }
}
