/** The agent and its hub: where reports go, and which part carries out which order. */
import type { HostStatus } from '../protocol/agent-link.ts';
import type { Job } from '../protocol/job.ts';
import { isInstalled } from '../protocol/service/installation.ts';
import type { Logger } from '../protocol/service/logger.ts';
import { hostAppLogs } from './app-log/host-app-logs.ts';
import type { Config } from './config.ts';
import type { Dispatcher } from './deployment/dispatcher.ts';
import type { EdgeOrders } from './deployment/edge-orders.ts';
import type { DeploymentLogs } from './deployment/log.ts';
import type { Host } from './host.ts';
import { endsTlsBefore } from './host-facts/edge-sockets.ts';
import { DEFAULT_PACE, startHubLink } from './hub-link/session.ts';
import { DEFAULT_TIMING } from './hub-link/timing.ts';
import { noUpgrades } from './hub-link/upgrades.ts';
import type { HostUpgrades } from './hub-link/upgrades.ts';
import { hostSigner } from './identity/host-key.ts';
import type { Identity } from './identity/identity.ts';
import type { Journal } from './journal/journal.ts';
import { takeReports } from './journal/local-reports.ts';
import { systemClock } from './lib/clock.ts';
import type { ReportLink } from './lifecycle.ts';
import type { AppWatch } from './reconcile/app-watch.ts';
import { hostStatus } from './status/host-status.ts';
import { hostUpgrades } from './upgrade/host-upgrades.ts';
import { upgradeParts } from './upgrade/parts.ts';
import { VERSION } from './lib/version.ts';

interface DialParts {
  readonly config: Config;
  readonly identity: Identity;
  readonly journal: Journal;
  readonly host: Host;
  readonly logs: DeploymentLogs;
  readonly dispatcher: Dispatcher;
  readonly edgeOrders: EdgeOrders;
  readonly appWatch: AppWatch;
  readonly log: Logger;
}

/** Starts to dial the hub. On a host without one, reports are taken and dropped, so that they do not pile up. */
export function dial(parts: DialParts): ReportLink {
  const { config, identity, journal, host, logs, dispatcher, edgeOrders, log } = parts;
  const { hostId, hub } = identity;
  if (hub === null) {
    const stop = takeReports(journal.outbox, logs, () => undefined, log);
    return { state: () => null, stop: async () => stop() };
  }
  return startHubLink({
    hubUrl: hub.url,
    credentials: { hostId, hubPublicKey: hub.publicKey, sign: hostSigner(config.stateFolder) },
    agentVersion: VERSION,
    outbox: journal.outbox,
    readLog: (...range) => logs.read(...range),
    running: () => journal.unfinished().map(({ deploymentId }) => deploymentId),
    status: () => statusOf(parts),
    jobs: { ...dispatcher, accept: (job) => acceptJob(dispatcher, edgeOrders, job) },
    edge: edgeOrders,
    upgrades: upgradesOf(config, log),
    appLogs: hostAppLogs(host.engine, host.ports, journal),
    timing: DEFAULT_TIMING,
    pace: DEFAULT_PACE,
    clock: systemClock,
    random: Math.random,
    log,
  });
}

/** A job may carry newer edge settings than the host knows, or older ones. The hub learns which revision counts. */
function acceptJob(dispatcher: Dispatcher, edgeOrders: EdgeOrders, job: Job): void {
  dispatcher.accept(job);
  if (job.kind !== 'remove' && job.kind !== 'build') edgeOrders.look(job.environment.id);
}

const statusOf = ({ config, host, journal, appWatch }: DialParts): Promise<HostStatus> =>
  hostStatus({
    agentVersion: VERSION,
    dockerSocket: config.dockerSocket,
    stateFolder: config.stateFolder,
    proxy: host.ports.proxy,
    endsTlsBefore: endsTlsBefore('/'),
    outboxSize: () => journal.outbox.size(),
    downApps: () => appWatch.down(),
    now: () => host.ports.clock.now(),
  });

const upgradesOf = (config: Config, log: Logger): HostUpgrades =>
  isInstalled(process.execPath)
    ? hostUpgrades(upgradeParts(config), log)
    : noUpgrades('This agent runs from sources: it has no release to replace.');
