/** The composition root: builds the parts of the agent and connects them. */
import { chmodSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sealerFromKeyFile } from '../protocol/sealing.ts';
import type { Logger } from '../protocol/service/logger.ts';
import type { Config } from './config.ts';
import { makeDispatcher } from './deployment/dispatcher.ts';
import type { Dispatcher } from './deployment/dispatcher.ts';
import { makeEdgeOrders } from './deployment/edge-orders.ts';
import { makeFailpoint } from './deployment/failpoint.ts';
import { makeLocalRemovals } from './deployment/local-removals.ts';
import { DEFAULT_LOG_LIMITS, makeDeploymentLogs } from './deployment/log.ts';
import type { DeploymentLogs } from './deployment/log.ts';
import { PIPELINE } from './deployment/pipeline.ts';
import { DEFAULT_QUEUE_LIMITS } from './deployment/queue.ts';
import { revive } from './deployment/revive.ts';
import { dial } from './dial.ts';
import { watchContainerEvents } from './docker/container-events.ts';
import { endsTlsBefore } from './host-facts/edge-sockets.ts';
import { buildHost, gitFolder } from './host.ts';
import type { Host } from './host.ts';
import { scopeOf } from './identity/identity.ts';
import type { Identity } from './identity/identity.ts';
import { openJournal } from './journal/journal.ts';
import type { Journal } from './journal/journal.ts';
import { takeReports } from './journal/local-reports.ts';
import type { LocalReport } from './journal/local-reports.ts';
import { lockState } from './journal/lock.ts';
import { keepReserve, withReserve } from './journal/reserve.ts';
import { systemClock } from './lib/clock.ts';
import { makePrivateFolder } from './lib/files.ts';
import { Lifecycle } from './lifecycle.ts';
import type { AgentView } from './local-api/agent-view.ts';
import { serveLocalApi } from './local-api/server.ts';
import type { LocalAnswers } from './local-api/server.ts';
import type { StatusReport } from './local-api/status-report.ts';
import { makeProxyClient } from './proxy-client/edge-proxy.ts';
import { makeAppWatch } from './reconcile/app-watch.ts';
import type { AppWatch } from './reconcile/app-watch.ts';
import { makeReconciler } from './reconcile/reconcile.ts';
import type { ReconcileParts, Reconciler } from './reconcile/reconcile.ts';
import { agentView, namesOf } from './status/agent-view.ts';
import type { StatusSubject } from './status/check.ts';
import { checkAll } from './status/index.ts';
import { layoutAt } from './upgrade/layout.ts';
import { lastUpgrade } from './upgrade/record.ts';
import { VERSION } from './lib/version.ts';

const RECONCILE_EVERY_MS = 60_000;
const KEEP_DEPLOYMENTS = 20;

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

/** What most parts work with. */
interface Core {
  readonly config: Config;
  readonly identity: Identity;
  readonly log: Logger;
  readonly journal: Journal;
  readonly host: Host;
  readonly logs: DeploymentLogs;
  readonly appWatch: AppWatch;
}

function assemble(config: Config, identity: Identity, log: Logger, journal: Journal, release: () => void): Agent {
  const host = buildHost(config, scopeOf(identity.hostId), identity.hub?.url ?? null);
  const logs = logsOf(config, journal, log);
  const { proxy, clock } = host.ports;
  const core: Core = { config, identity, log, journal, host, logs, appWatch: makeAppWatch(clock) };
  const dispatcher = dispatcherOf(core);
  const edgeOrders = makeEdgeOrders({ journal, proxy, clock, log });
  const reconciler = makeReconciler(reconcileParts(core), RECONCILE_EVERY_MS);
  const since = new Date(systemClock.now()).toISOString();
  const view = (): AgentView =>
    agentView({
      version: VERSION,
      identity,
      journal,
      since,
      link: lifecycle.linkState(),
      downApps: core.appWatch.down(),
    });
  const status = (answerMs: number): Promise<StatusReport> => checkAll(statusSubject(config, view(), answerMs));
  const lifecycle = new Lifecycle({
    dispatcher,
    reconciler,
    edgeOrders,
    sandbox: host.sandbox,
    openLocalApi: () => serveLocalApi(config.agentSocket, localAnswers(core, dispatcher, { status, agent: view })),
    watchContainers: (signal) => watchContainers(core, reconciler, signal),
    dial: () => dial({ ...core, dispatcher, edgeOrders }),
    release,
    log,
  });
  return {
    identity,
    dispatcher,
    journal,
    status,
    start: () => lifecycle.start(),
    stop: () => lifecycle.stop(),
    proveAlive: () => journal.ping(),
    takeReports: (take) => takeReports(journal.outbox, logs, take, log),
  };
}

function logsOf(config: Config, journal: Journal, log: Logger): DeploymentLogs {
  const logs = makeDeploymentLogs({
    folder: logFolder(config),
    index: journal.outbox,
    limits: DEFAULT_LOG_LIMITS,
    log,
  });
  // Removes logs of deployments that are not in the journal: it was lost, or an agent was killed right after pruning.
  logs.sweep((deploymentId) => journal.job(deploymentId) !== null);
  return logs;
}

function dispatcherOf({ config, journal, host, logs, log }: Core): Dispatcher {
  return makeDispatcher({
    parts: {
      journal,
      ports: host.ports,
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
}

function reconcileParts({ host, journal, appWatch, log }: Core): ReconcileParts {
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

function watchContainers(core: Core, reconciler: Reconciler, signal: AbortSignal): void {
  const { identity, host, journal, appWatch, log } = core;
  const onChange = (deploymentId: string | null): void => {
    // A deployment on its way to being live looks after its own container.
    if (deploymentId === null || journal.allLive().some((one) => one.deploymentId === deploymentId))
      reconciler.lookSoon();
  };
  const { clock } = host.ports;
  const watch = {
    scope: scopeOf(identity.hostId),
    onChange,
    onExit: (deploymentId: string, exitCode: number | null) => appWatch.exited(deploymentId, exitCode),
    onMemory: (deploymentId: string) => appWatch.killedForMemory(deploymentId),
    clock,
    random: Math.random,
    log,
  };
  void watchContainerEvents(host.engine, watch, signal);
}

const statusSubject = (config: Config, agent: AgentView, answerMs: number): StatusSubject => ({
  answerMs,
  dockerSocket: config.dockerSocket,
  stateFolder: config.stateFolder,
  proxy: makeProxyClient(config.proxySocket, { callMs: answerMs }),
  sandboxFolder: config.sandboxFolder,
  clock: systemClock,
  agent,
  lastUpgrade: lastUpgrade(layoutAt().record),
  endsTlsBefore: endsTlsBefore('/'),
});

const localAnswers = (
  { identity, journal, host }: Core,
  dispatcher: Dispatcher,
  views: Pick<LocalAnswers, 'status' | 'agent'>,
): LocalAnswers => ({
  ...views,
  environments: () => namesOf(journal),
  removals: makeLocalRemovals({
    journal,
    ports: host.ports,
    hostId: identity.hostId,
    accept: (job) => dispatcher.accept(job),
  }),
});
