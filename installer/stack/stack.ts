/** hub, proxy and agent of one machine as processes: where each stores its state and how each is started. */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ALLOCATOR } from './allocator.ts';
import { PROXY_FLAGS, PROXY_PROGRAM } from './proxy-program.ts';
import type { ServiceCommand } from './service.ts';

/** Folder of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

export interface StackPlan {
  /** Holds everything durable. */
  readonly folder: string;
  /** Short folder for unix sockets. */
  readonly runFolder: string;
  readonly hubListen: string;
  readonly proxyListen: string;
  /** Public URL of the edge, from which app URLs are made. */
  readonly appsUrl: string;
  readonly dockerSocket: string;
  readonly logLevel?: string;
}

/** Runs a file of ours with the current Node. */
export const ourProgram = (file: string): [string, string] => [process.execPath, join(ROOT, file)];

/** `orkestr-proxy …` as it runs on a host. */
export const proxyArgv = (): [string, ...string[]] => [process.execPath, ...PROXY_FLAGS, join(ROOT, PROXY_PROGRAM)];

/** A short folder in /run for the sockets of `folder`: unix socket paths are limited to 107 bytes. */
export const runFolderOf = (folder: string): string =>
  join('/run', `orkestr-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}`);

const logFile = (plan: StackPlan, name: string): string => {
  mkdirSync(join(plan.folder, 'logs'), { recursive: true, mode: 0o700 });
  return join(plan.folder, 'logs', `${name}.log`);
};

/** Our environment without what a developer's shell may have set for another orkestr. */
const cleanEnv = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ORKESTR_')));

export const hubState = (plan: StackPlan): string => join(plan.folder, 'hub');
export const agentState = (plan: StackPlan): string => join(plan.folder, 'agent');

export const hubEnv = (plan: StackPlan): NodeJS.ProcessEnv => ({
  ...cleanEnv(),
  ORKESTR_HUB_STATE: hubState(plan),
  ORKESTR_HUB_LISTEN: plan.hubListen,
  ORKESTR_APPS_URL: plan.appsUrl,
  ORKESTR_LOG_LEVEL: plan.logLevel ?? 'info',
});

export const proxyEnv = (plan: StackPlan): NodeJS.ProcessEnv => ({
  ...cleanEnv(),
  ...ALLOCATOR,
  ORKESTR_PROXY_LISTEN: plan.proxyListen,
  ORKESTR_PROXY_SOCKET: join(plan.runFolder, 'proxy.sock'),
  ORKESTR_PROXY_STATE: join(plan.folder, 'proxy'),
  ORKESTR_LOG_LEVEL: plan.logLevel ?? 'info',
});

export const agentEnv = (plan: StackPlan): NodeJS.ProcessEnv => ({
  ...cleanEnv(),
  ORKESTR_AGENT_STATE: agentState(plan),
  ORKESTR_AGENT_RUN: plan.runFolder,
  ORKESTR_PROXY_SOCKET: join(plan.runFolder, 'proxy.sock'),
  ORKESTR_DOCKER_SOCKET: plan.dockerSocket,
  ORKESTR_LOG_LEVEL: plan.logLevel ?? 'info',
});

export const hubCommand = (plan: StackPlan): ServiceCommand => ({
  name: 'hub',
  argv: [...ourProgram('hub/main.ts'), 'serve'],
  env: hubEnv(plan),
  logFile: logFile(plan, 'hub'),
});

export const proxyCommand = (plan: StackPlan): ServiceCommand => ({
  name: 'proxy',
  argv: [...proxyArgv(), 'serve'],
  env: proxyEnv(plan),
  logFile: logFile(plan, 'proxy'),
});

export const agentCommand = (plan: StackPlan): ServiceCommand => ({
  name: 'agent',
  argv: [...ourProgram('agent/main.ts'), 'serve'],
  env: agentEnv(plan),
  logFile: logFile(plan, 'agent'),
});

/** `orkestr-agent …` of this stack. */
export const agentArgv = (): [string, string] => ourProgram('agent/main.ts');

/** The folders a stack needs before its processes start. */
export function makeFolders(plan: StackPlan): void {
  for (const folder of [plan.folder, plan.runFolder]) mkdirSync(folder, { recursive: true, mode: 0o700 });
}
