/** The composition root: builds the parts of the agent and connects them. */
import { chmodSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import manifest from '../package.json' with { type: 'json' };
import type { HostStatus } from '../protocol/agent-link.ts';
import type { Job } from '../protocol/job.ts';
import { sealerFromKeyFile } from '../protocol/sealing.ts';
import { isInstalled } from '../protocol/service/installation.ts';
import type { Logger } from '../protocol/service/logger.ts';
import { makeAppLogs } from './app-log/app-logs.ts';
import type { AppLogs } from './app-log/app-logs.ts';
import { secretsOfVersion } from './app-log/secrets.ts';
import type { KnownVersions } from './app-log/secrets.ts';
import type { Config } from './config.ts';
import { makeDispatcher } from './deployment/dispatcher.ts';
import type { Dispatcher } from './deployment/dispatcher.ts';
import { makeEdgeOrders } from './deployment/edge-orders.ts';
import type { EdgeOrders } from './deployment/edge-orders.ts';
import { makeFailpoint } from './deployment/failpoint.ts';
import { makeLocalRemovals } from './deployment/local-removals.ts';
import { DEFAULT_LOG_LIMITS, makeDeploymentLogs } from './deployment/log.ts';
import { PIPELINE } from './deployment/pipeline.ts';
import type { Ports } from './deployment/ports.ts';
import { DEFAULT_QUEUE_LIMITS } from './deployment/queue.ts';
import { revive } from './deployment/revive.ts';
import type { Engine } from './lib/engine.ts';
import { containerLogs } from './docker/container-log.ts';
import { watchStarts } from './docker/starts.ts';
import { endsTlsBefore } from './host-facts/edge-sockets.ts';
import { DEFAULT_TIMING } from './hub-link/connection.ts';
import { DEFAULT_PACE, startHubLink } from './hub-link/session.ts';
import type { HubLink } from './hub-link/session.ts';
import { noUpgrades } from './hub-link/upgrades.ts';
import type { HostUpgrades } from './hub-link/upgrades.ts';
import { buildHost, gitFolder } from './host.ts';
import type { Host } from './host.ts';
import { hostSigner } from './identity/host-key.ts';
import { scopeOf } from './identity/identity.ts';
import type { Identity } from './identity/identity.ts';
import { openJournal } from './journal/journal.ts';
import type { Journal } from './journal/journal.ts';
import { lockState } from './journal/lock.ts';
import { keepReserve, withReserve } from './journal/reserve.ts';
import { systemClock } from './lib/clock.ts';
import { makePrivateFolder } from './lib/files.ts';
import { takeReports } from './journal/local-reports.ts';
import type { LocalReport } from './journal/local-reports.ts';
import { makeProxyClient } from './proxy-client/edge-proxy.ts';
import { makeAppWatch } from './reconcile/app-watch.ts';
import type { AppWatch } from './reconcile/app-watch.ts';
import { makeReconciler } from './reconcile/reconcile.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import { agentView, namesOf } from './status/agent-view.ts';
import type { AgentView } from './local-api/agent-view.ts';
import { hostStatus } from './status/host-status.ts';
import { checkAll } from './status/index.ts';
import type { StatusReport } from './local-api/status-report.ts';
import { serveLocalApi } from './local-api/server.ts';
import { DEFAULT_PATIENCE } from './upgrade/health.ts';
import type { UpgradeParts } from './upgrade/health.ts';
import { hostUpgrades } from './upgrade/host-upgrades.ts';
import { layoutAt } from './upgrade/layout.ts';
import { lastUpgrade } from './upgrade/record.ts';
import { systemServices } from './upgrade/services.ts';

export const VERSION = manifest.version;

const RECONCILE_EVERY_MS = 60_000;
/**
 * How long the hub's jobs wait for the first reconcile round, so that the round can restore a lost journal from the
 * engine and the proxy first. They do not wait longer for apps that it revives: one that never gets healthy must not
 * keep the host offline.
 */
const FIRST_ROUND_MS = 15_000;
const KEEP_DEPLOYMENTS = 20;
/** Together with the two below, less than the SHUTDOWN_MS of serve.ts. */
const STOP_RUNNING_MS = 8000;
const STOP_SANDBOX_MS = 8000;
const STOP_ROUND_MS = 2000;

export const logFolder = (config: Config): string => join(config.stateFolder, 'logs');

export interface Agent {
  readonly identity: Identity;
  readonly dispatcher: Dispatcher;
  readonly journal: Journal;
  /** Resumes unfinished jobs, reconciles, listens on the local socket and dials the hub. */
  start(): Promise<void>;
  /** Releases everything. Running deployments are resumed at the next start. */
  stop(): Promise<void>;
  /** @param answerMs how long to wait for a part that may not answer */
  status(answerMs: number): Promise<StatusReport>;
  /** Throws if the agent can no longer do any work. For the watchdog. */
  proveAlive(): void;
  /** Passes reports to `take` in place of a hub; the returned function ends that. */
  takeReports(take: (report: LocalReport) => void): () => void;
}

/**
 * The agent of a state folder, not started yet. Holds the folder's lock until `stop`.
 * @throws OrkestrError ORK_ALREADY_RUNNING, ORK_CONFIG
 */
export async function buildAgent(config: Config, identity: Identity, log: Logger): Promise<Agent> {
  makePrivateFolder(config.stateFolder);
  chmodSync(config.stateFolder, 0o700);
  makePrivateFolder(dirname(config.agentSocket));
  const lock = await lockState(config.stateFolder);
  try {
    // A killed agent may leave a checkout behind whose git configuration holds the token.
    rmSync(gitFolder(config), { recursive: true, force: true });
    const sealer = sealerFromKeyFile(join(config.stateFolder, 'secret.key'));
    const { stateFolder } = config;
    const journal = await withReserve(stateFolder, log, () =>
      openJournal({ stateFolder, sealer, log, now: systemClock.now }),
    );
    keepReserve(stateFolder, log);
    return assemble(config, identity, log, journal, () => {
      journal.close();
      keepReserve(stateFolder, log);
      lock.release();
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

function assemble(config: Config, identity: Identity, log: Logger, journal: Journal, release: () => void): Agent {
  const host = buildHost(config, scopeOf(identity.hostId), identity.hub?.url ?? null);
  const { ports } = host;
  const logs = makeDeploymentLogs({
    folder: logFolder(config),
    index: journal.outbox,
    limits: DEFAULT_LOG_LIMITS,
    log,
  });
  // Removes logs of deployments that are not in the journal: it was lost, or an agent was killed right after pruning.
  logs.sweep((deploymentId) => journal.job(deploymentId) !== null);
  const dispatcher = makeDispatcher({
    parts: {
      journal,
      ports,
      pipeline: PIPELINE,
      logs,
      failpoint: makeFailpoint(config.failpoint),
      random: Math.random,
      log,
    },
    intake: journal,
    limits: { ...DEFAULT_QUEUE_LIMITS, maxRunning: Math.max(DEFAULT_QUEUE_LIMITS.maxRunning, config.buildSlots) },
    onEnded: () => journal.prune(KEEP_DEPLOYMENTS).forEach((deploymentId) => logs.remove(deploymentId)),
  });
  const edgeOrders = makeEdgeOrders({ journal, proxy: ports.proxy, clock: ports.clock, log });
  const appWatch = makeAppWatch(ports.clock);
  const reconciler = makeReconciler(reconcileParts(host, journal, appWatch, log), RECONCILE_EVERY_MS);
  const since = new Date(systemClock.now()).toISOString();
  const stopped = new AbortController();
  let link: HubLink | null = null;
  let closeApi: (() => Promise<void>) | null = null;
  let stopTaking: (() => void) | null = null;

  const view = (): AgentView => agentView({ version: VERSION, identity, journal, since, link: link?.state() ?? null });
  const status = (answerMs: number): Promise<StatusReport> =>
    checkAll({
      answerMs,
      dockerSocket: config.dockerSocket,
      stateFolder: config.stateFolder,
      proxy: makeProxyClient(config.proxySocket, { callMs: answerMs }),
      sandboxFolder: config.sandboxFolder,
      clock: systemClock,
      agent: view(),
      lastUpgrade: lastUpgrade(layoutAt().record),
      endsTlsBefore: endsTlsBefore('/'),
    });
  const dial = (): void => {
    if (identity.hub === null) {
      stopTaking = takeReports(journal.outbox, logs, () => undefined, log);
      return;
    }
    link = startHubLink({
      hubUrl: identity.hub.url,
      credentials: {
        hostId: identity.hostId,
        hubPublicKey: identity.hub.publicKey,
        sign: hostSigner(config.stateFolder),
      },
      agentVersion: VERSION,
      outbox: journal.outbox,
      readLog: (...range) => logs.read(...range),
      running: () => journal.unfinished().map(({ deploymentId }) => deploymentId),
      status: () => tellHost(config, ports, journal, appWatch),
      jobs: { ...dispatcher, accept: (job) => acceptJob(dispatcher, edgeOrders, job) },
      edge: edgeOrders,
      upgrades: upgradesOf(config, log),
      appLogs: appLogsOf(host.engine, ports, journal),
      timing: DEFAULT_TIMING,
      pace: DEFAULT_PACE,
      clock: systemClock,
      random: Math.random,
      log,
    });
  };

  return {
    identity,
    dispatcher,
    journal,
    status,
    proveAlive: () => journal.ping(),
    takeReports: (take) => takeReports(journal.outbox, logs, take, log),
    async start() {
      const api = await serveLocalApi(config.agentSocket, {
        status,
        agent: view,
        environments: () => namesOf(journal),
        removals: makeLocalRemovals({
          journal,
          ports,
          hostId: identity.hostId,
          accept: (job) => dispatcher.accept(job),
        }),
      });
      closeApi = () => api.close();
      dispatcher.resume();
      const onChange = (deploymentId: string | null): void => {
        // A deployment on its way to being live looks after its own container.
        if (deploymentId === null || journal.allLive().some((one) => one.deploymentId === deploymentId))
          reconciler.lookSoon();
      };
      const { clock } = ports;
      const watch = {
        scope: scopeOf(identity.hostId),
        onChange,
        onExit: (deploymentId: string, exitCode: number | null) => appWatch.exited(deploymentId, exitCode),
        onMemory: (deploymentId: string) => appWatch.killedForMemory(deploymentId),
        clock,
        random: Math.random,
        log,
      };
      void watchStarts(host.engine, watch, stopped.signal);
      await within(FIRST_ROUND_MS, reconciler.look());
      // An earlier agent may have left its build engine running. A job that needs it starts it again.
      if (journal.unfinished().length === 0 && (await host.sandbox.isRunning())) await host.sandbox.stop();
      dial();
    },
    async stop() {
      stopped.abort();
      await link?.stop();
      stopTaking?.();
      await within(STOP_ROUND_MS, edgeOrders.stop());
      // A round that waits for a silent engine is abandoned: it does nothing that the next start does not repeat.
      await within(STOP_ROUND_MS, reconciler.stop());
      await dispatcher.stop(STOP_RUNNING_MS);
      await stopSandbox(host.sandbox, log);
      await closeApi?.();
      release();
    },
  };
}

/** A job may carry newer edge settings than the host knows, or older ones. The hub learns which revision counts. */
function acceptJob(dispatcher: Dispatcher, edgeOrders: EdgeOrders, job: Job): void {
  dispatcher.accept(job);
  if (job.kind !== 'remove' && job.kind !== 'build') edgeOrders.look(job.environment.id);
}

function reconcileParts(
  host: Host,
  journal: Journal,
  appWatch: AppWatch,
  log: Logger,
): Parameters<typeof makeReconciler>[0] {
  const stepLog = { write: () => undefined, line: (text: string) => log.info({ text }, 'reviving') };
  return {
    ports: host.ports,
    // Docker drops our rules when it rebuilds its own, and a reboot drops them all.
    before: () => host.firewall.ensure(),
    listWorkspaces: () => host.listWorkspaces(),
    remembered: () => ({ live: journal.allLive(), unfinished: journal.unfinished() }),
    adopt: (live) => journal.adopt(live),
    moveLive: (environmentId, address) => journal.moveLive(environmentId, address),
    revive: (live, signal) => revive({ journal, ports: host.ports, pipeline: PIPELINE, log: stepLog }, live, signal),
    appWatch,
    log,
  };
}

/** Reads the output of apps. All it needs of the journal is the live deployments and their jobs. */
export const appLogsOf = (
  engine: Engine,
  { containers, clock }: Pick<Ports, 'containers' | 'clock'>,
  known: KnownVersions,
): AppLogs =>
  makeAppLogs({
    live: (environmentId) => known.live(environmentId)?.deploymentId ?? null,
    secrets: (deploymentId) => secretsOfVersion(engine, known, deploymentId),
    containers,
    openLog: containerLogs(engine),
    clock,
  });

const tellHost = (
  { dockerSocket, stateFolder }: Config,
  ports: Ports,
  journal: Journal,
  appWatch: AppWatch,
): Promise<HostStatus> =>
  hostStatus({
    agentVersion: VERSION,
    dockerSocket,
    stateFolder,
    proxy: ports.proxy,
    endsTlsBefore: endsTlsBefore('/'),
    outboxSize: () => journal.outbox.size(),
    downApps: () => appWatch.down(),
    now: () => ports.clock.now(),
  });

export const upgradeParts = (config: Config): UpgradeParts => ({
  layout: layoutAt(),
  config,
  services: systemServices,
  clock: systemClock,
  patience: DEFAULT_PATIENCE,
});

const upgradesOf = (config: Config, log: Logger): HostUpgrades =>
  isInstalled(process.execPath)
    ? hostUpgrades(upgradeParts(config), log)
    : noUpgrades('This agent runs from sources: it has no release to replace.');

/** Gives up after STOP_SANDBOX_MS: the next start finds a build engine that still runs. */
async function stopSandbox(sandbox: Sandbox, log: Logger): Promise<void> {
  const stopped = sandbox.isRunning().then((running) => (running ? sandbox.stop() : undefined));
  try {
    const inTime = await within(STOP_SANDBOX_MS, stopped);
    if (!inTime) log.warn('the build engine does not stop in time');
  } catch (error) {
    log.warn({ err: error }, 'the build engine was not stopped');
  }
}

/** Whether `work` finished within `ms`. Rethrows its error. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  try {
    return await Promise.race([
      work.then(() => true),
      systemClock.sleep(ms, over.signal).then(
        () => false,
        () => false, // the work was faster: nobody looks at this result
      ),
    ]);
  } finally {
    over.abort();
  }
}
