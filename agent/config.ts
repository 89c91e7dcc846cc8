/** The agent's settings: the only place that reads environment variables and config files. */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { OrkestrError } from '../protocol/errors.ts';
import type { SupervisorEnv } from '../protocol/service/systemd.ts';
import { ALL_FAILPOINTS } from './deployment/failpoint.ts';
import type { FailpointName } from './deployment/failpoint.ts';
import { BaseImages } from './detect/base-images.ts';

/** sun_path of sockaddr_un is 108 bytes (unix(7)); names of ours are added to the folder. */
const MAX_SOCKET_PATH = 100;

const Settings = z.object({
  ORKESTR_AGENT_STATE: z.string().min(1).default('/var/lib/orkestr/agent'),
  ORKESTR_AGENT_RUN: z.string().min(1).default('/run/orkestr'),
  ORKESTR_PROXY_SOCKET: z.string().min(1).default('/run/orkestr/proxy.sock'),
  ORKESTR_DOCKER_SOCKET: z.string().min(1).default('/var/run/docker.sock'),
  ORKESTR_BASE_IMAGES: z.string().min(1).optional(),
  ORKESTR_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  ORKESTR_FAILPOINT: z.enum(ALL_FAILPOINTS as [FailpointName, ...FailpointName[]]).optional(),
});

export interface Config {
  readonly stateFolder: string;
  readonly agentSocket: string;
  /** Folder of the build engine's socket and run-time files. */
  readonly sandboxFolder: string;
  readonly proxySocket: string;
  readonly dockerSocket: string;
  readonly baseImages: BaseImages;
  readonly logLevel: string;
  readonly failpoint: FailpointName | null;
  readonly supervisor: SupervisorEnv;
}

/**
 * @param env defaults to this process's; empty values count as not set
 * @throws OrkestrError ORK_CONFIG naming the variable
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
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
    sandboxFolder: dirname(socketPath('ORKESTR_AGENT_RUN', join(runFolder, 'sandbox', 'docker.sock'))),
    proxySocket: socketPath('ORKESTR_PROXY_SOCKET', resolve(data.ORKESTR_PROXY_SOCKET)),
    dockerSocket: socketPath('ORKESTR_DOCKER_SOCKET', resolve(data.ORKESTR_DOCKER_SOCKET)),
    baseImages: readBaseImages(data.ORKESTR_BASE_IMAGES),
    logLevel: data.ORKESTR_LOG_LEVEL,
    failpoint: data.ORKESTR_FAILPOINT ?? null,
    supervisor: { NOTIFY_SOCKET: env['NOTIFY_SOCKET'], WATCHDOG_USEC: env['WATCHDOG_USEC'] },
  };
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
