/** From a prepared machine to a running installation: engine, base images, console, three processes, admin, host. */
import { existsSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { Client } from '../../hub/cli/client.ts';
import { makeFirewall } from '../../agent/firewall/firewall.ts';
import { readIdentity, scopeOf } from '../../agent/identity/identity.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { ensureBaseImages } from '../prepare/base-images.ts';
import { buildConsole } from '../prepare/console.ts';
import { buildProxy } from '../prepare/proxy-bundle.ts';
import { EngineApi } from '../prepare/engine-api.ts';
import { DOCKER_SOCKET, ensureEngine, stopEngine } from '../prepare/engine.ts';
import type { EnginePlan } from '../prepare/engine.ts';
import type { Progress } from '../prepare/progress.mjs';
import { enrolHost, isEnrolled, setUpHub, waitForHost } from '../stack/enrol.ts';
import {
  agentArgv,
  agentCommand,
  agentEnv,
  agentState,
  hubCommand,
  hubState,
  makeFolders,
  proxyCommand,
  ROOT,
  runFolderOf,
} from '../stack/stack.ts';
import type { StackPlan } from '../stack/stack.ts';
import type { Credentials, Home } from './home.ts';
import { freePort, isFree } from './ports.ts';
import { endLeftovers, Watched } from './processes.ts';
import type { Teardown } from './teardown.ts';

const EMAIL = 'admin@localhost';
const TEAM = 'Home';
const HUB_HOST = '127.0.0.1';
const FIRST_HUB_PORT = 7700;
const PROXY_HOST = '0.0.0.0';
const FIRST_PROXY_PORT = 8080;
/** Grace period of app containers between SIGTERM and SIGKILL when everything is stopped, seconds. */
const APP_GRACE_SECONDS = 10;

export interface Context {
  readonly home: Home;
  readonly progress: Progress;
  readonly teardown: Teardown;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Prints a line of its own, at any time. */
  readonly tell: (line: string) => void;
}

export interface Installation {
  readonly client: Client;
  readonly credentials: Credentials;
  readonly hubUrl: string;
  /** Address of the proxy from this machine. */
  readonly proxyUrl: string;
  readonly processes: readonly Watched[];
}

export const enginePlan = (home: Home): EnginePlan => ({
  folder: home.path('engine'),
  runFolder: `${runFolderOf(home.folder)}/engine`,
  logFile: home.path('logs', 'engine.log'),
  socket: DOCKER_SOCKET,
  systemd: existsSync('/run/systemd/system'),
});

export async function install(context: Context): Promise<Installation> {
  const { home, progress, teardown } = context;
  const plan = await progress.stage('ports', () => choosePorts(home));
  makeFolders(plan);
  forgetHalfSetup(home, plan);
  teardown.add('engine', async () => {
    await stopEngine(enginePlan(home));
    // Holds only sockets; the next start creates it anew.
    rmSync(plan.runFolder, { recursive: true, force: true });
  });
  await step(context, 'Docker Engine', async (say) => {
    const { version, origin } = await ensureEngine(enginePlan(home), say);
    return `${version}, ${{ found: 'was running', started: 'started', adopted: 'left running by an earlier run' }[origin]}`;
  });
  await step(context, 'base images', (say) => makeBaseImages(context, plan, say));
  await step(context, 'console', (say) => buildConsole(ROOT, say));
  await step(context, 'proxy bundle', (say) => buildProxy(ROOT, say));
  const [proxy, hub] = await step(context, 'proxy and hub', async () => {
    const both = [await start(context, proxyCommand(plan)), await start(context, hubCommand(plan))] as const;
    await Promise.all(both.map((process) => process.url()));
    return both;
  });
  const hubUrl = await hub.url();
  const credentials = await step(context, 'first admin', () => firstAdmin(context, plan));
  const client = new Client({ url: hubUrl, token: credentials.token });
  teardown.add('client', () => client.close());
  const agent = await step(context, 'this host', async () => {
    if (!isEnrolled(plan)) await enrolHost(client, plan, hostname().slice(0, 60) || 'this-host');
    teardown.add('app containers', () => stopApps(plan));
    const process = await start(context, agentCommand(plan));
    await waitForHost(client);
    return process;
  });
  return {
    client,
    credentials,
    hubUrl,
    proxyUrl: `http://127.0.0.1:${new URL(plan.appsUrl).port}`,
    processes: [hub, proxy, agent],
  };
}

/** Runs a stage, unless Ctrl-C was pressed before. */
function step<T>(context: Context, name: string, work: (say: (detail: string) => void) => Promise<T>): Promise<T> {
  if (context.signal.aborted) throw new OrkestrError('ORK_CANCELLED', 'Stopped while starting.');
  return context.progress.stage(name, work);
}

async function start(context: Context, command: Parameters<typeof Watched.start>[0]): Promise<Watched> {
  const process = await Watched.start(command, context.tell);
  context.teardown.add(command.name, () => process.stop());
  return process;
}

export function stackPlan(home: Home, hubPort: number, proxyPort: number): StackPlan {
  return {
    folder: home.folder,
    runFolder: runFolderOf(home.folder),
    hubListen: `${HUB_HOST}:${hubPort}`,
    proxyListen: `${PROXY_HOST}:${proxyPort}`,
    appsUrl: `http://localhost:${proxyPort}`,
    dockerSocket: DOCKER_SOCKET,
  };
}

/** Returns the ports of the last run, else the next free ones. First ends what a killed launcher left on them. */
async function choosePorts(home: Home): Promise<StackPlan> {
  const memory = home.memory();
  await endLeftovers(stackPlan(home, memory.hubPort ?? FIRST_HUB_PORT, memory.proxyPort ?? FIRST_PROXY_PORT));
  const { hubPort = await freePort(HUB_HOST, FIRST_HUB_PORT) } = memory;
  if (!(await isFree(HUB_HOST, hubPort))) {
    throw new OrkestrError(
      'ORK_PREPARE_FAILED',
      `Port ${hubPort} is used by another program, and the agent is enrolled with the hub at that address. Free the port, or start over with npm start -- --reset.`,
    );
  }
  const proxyPort = await freePort(PROXY_HOST, memory.proxyPort ?? FIRST_PROXY_PORT);
  home.remember({ hubPort, proxyPort });
  return stackPlan(home, hubPort, proxyPort);
}

async function makeBaseImages(context: Context, plan: StackPlan, say: (detail: string) => void): Promise<string> {
  const engine = new EngineApi(plan.dockerSocket);
  try {
    return await ensureBaseImages({
      engine,
      // For the sample. Others are built on request: orkestr-agent base-images build python …
      kinds: ['node'],
      agentArgv: agentArgv(),
      env: agentEnv(plan),
      say,
      signal: context.signal,
    });
  } finally {
    await engine.close();
  }
}

/**
 * Records intent, acts, records the result: a run interrupted before it has stored the hub's answer starts over with an
 * empty hub.
 */
async function firstAdmin({ home }: Context, plan: StackPlan): Promise<Credentials> {
  const kept = home.credentials();
  if (kept) return kept;
  home.remember({ setup: 'begun' });
  const token = await setUpHub(plan, { email: EMAIL, team: TEAM });
  home.keepCredentials({ email: EMAIL, token });
  home.remember({ setup: 'done' });
  return { email: EMAIL, token };
}

/** Must run before the hub starts. Removes the state of a hub whose only token was lost before it was stored. */
function forgetHalfSetup(home: Home, plan: StackPlan): void {
  if (home.memory().setup === 'begun' && !home.credentials()) rmSync(hubState(plan), { recursive: true, force: true });
}

/**
 * Stops app containers without removing them: the returning agent starts them again, behind firewall rules that it
 * creates anew.
 */
async function stopApps(plan: StackPlan): Promise<void> {
  const identity = readIdentity(agentState(plan));
  if (!identity) return;
  const scope = scopeOf(identity.hostId);
  const engine = new EngineApi(plan.dockerSocket);
  try {
    const apps = await engine.containers(`orkestr.scope=${scope}`);
    await Promise.all(apps.map(({ Id }) => engine.stopContainer(Id, APP_GRACE_SECONDS)));
  } finally {
    await engine.close();
  }
  await makeFirewall({ scope }).remove();
}
