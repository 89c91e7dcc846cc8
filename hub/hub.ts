/** A whole hub: builds all parts, starts them in order and stops them in reverse order. */
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { OrkestrError } from '../protocol/errors.ts';
import { sealerFromKeyFile } from '../protocol/sealing.ts';
import type { Logger } from '../protocol/service/logger.ts';
import { AgentServer } from './agents/link.ts';
import { Sessions } from './agents/sessions.ts';
import { buildApp } from './app.ts';
import { loadHubKey } from './auth/hub-key.ts';
import type { HubConfig } from './config.ts';
import type { Clock, CoreDeps, HubApp, HubDeps } from './deps.ts';
import { GitServer } from './git/remote.ts';
import { Repositories } from './git/repositories.ts';
import { makeCommitResolver } from './git/resolver.ts';
import { makeHostWatch } from './notify/host-watch.ts';
import { NotificationSender } from './notify/notifier.ts';
import { makeNews } from './scheduler/news.ts';
import { makeScheduler } from './scheduler/scheduler.ts';
import { lockState, prepareState } from './state.ts';
import { openDatabase, storeTrouble } from './store/database.ts';
import { HostUpgrades } from './upgrades/upgrades.ts';
import { makeUptime } from './uptime.ts';

/** How long in-flight requests may take when the hub stops, ms. */
const CLOSE_MS = 3_000;

/** Paths that hold both in the repository and in a release. Only a release contains the CLI as a single file. */
const SERVED_FILES = {
  consoleFolder: fileURLToPath(new URL('./console/dist', import.meta.url)),
  docsFolder: fileURLToPath(new URL('../docs', import.meta.url)),
  cliFile: fileURLToPath(new URL('./cli/orkestr.cjs', import.meta.url)),
};

export const systemClock: Clock = { now: () => new Date() };

interface RunningHub {
  /** URL that the hub listens on; may differ from its public URL. */
  readonly listenUrl: string;
  readonly deps: HubDeps;
  /** Stops all parts. Open deployments continue on their hosts. */
  stop(): Promise<void>;
}

/**
 * Builds and starts the hub of `config.stateFolder`.
 * @throws OrkestrError ORK_CONFIG, ORK_ALREADY_RUNNING, ORK_DISK_FULL; nothing is left running then
 */
export async function startHub(config: HubConfig, log: Logger, clock: Clock = systemClock): Promise<RunningHub> {
  const ends = new AsyncDisposableStack();
  try {
    const paths = prepareState(config.stateFolder);
    ends.defer(await lockState(paths.lock));
    const db = await openDatabase(paths.database);
    ends.defer(() => db.destroy());
    const uptime = makeUptime({ clock, log });
    await uptime.start();
    ends.defer(() => uptime.stop());
    let listenUrl: string | undefined;
    const deps = wire({
      db,
      config,
      log,
      clock,
      uptime,
      sealer: sealerFromKeyFile(paths.secretKey),
      hubKey: loadHubKey(paths.hubKey),
      hubUrl: () => config.publicUrl ?? listenUrl ?? unknownUrl(),
    });
    const app = await buildApp(deps, SERVED_FILES);
    ends.defer(() => close(app));
    await deps.git.start();
    ends.defer(() => deps.git.stop());
    ends.defer(() => deps.agents.stop());
    await deps.scheduler.start();
    ends.defer(() => deps.scheduler.stop());
    await deps.upgrades.start();
    ends.defer(() => deps.upgrades.stop());
    for (const part of [deps.hostWatch, deps.notifier]) {
      await part.start();
      ends.defer(() => part.stop());
    }
    listenUrl = await listen(app, config.listen);
    return { listenUrl, deps, stop: () => ends.disposeAsync() };
  } catch (error) {
    await ends.disposeAsync();
    throw storeTrouble(error) ?? error;
  }
}

function wire(core: CoreDeps): HubDeps {
  const sessions = new Sessions();
  const news = makeNews();
  const repositories = new Repositories(core.config.stateFolder);
  const scheduler = makeScheduler({ ...core, links: sessions, news });
  const upgrades = new HostUpgrades({ ...core, links: sessions });
  return {
    ...core,
    news,
    scheduler,
    upgrades,
    notifier: new NotificationSender(core),
    hostWatch: makeHostWatch({ ...core, links: sessions }),
    agents: new AgentServer({ ...core, sessions, scheduler, news, upgrades }),
    git: new GitServer({ ...core, repositories, scheduler, links: sessions }),
    resolver: makeCommitResolver({ ...core, repositories }),
  };
}

async function listen(app: HubApp, { host, port }: HubConfig['listen']): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OrkestrError('ORK_CONFIG', `ORKESTR_HUB_LISTEN: cannot listen (${reason}).`, { cause });
  }
  const { address, family, port: real } = app.server.address() as AddressInfo;
  // A server that listens on all addresses is reachable on loopback.
  const reached = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address;
  return `http://${family === 'IPv6' && reached === address ? `[${reached}]` : reached}:${real}`;
}

/** Stops accepting requests; cuts those still in flight at the deadline. */
async function close(app: HubApp): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
  await app.close();
  clearTimeout(cut);
}

function unknownUrl(): never {
  throw new Error('The address of the hub is known once it listens.');
}
