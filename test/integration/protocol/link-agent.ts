/** An agent without Docker: identity, journal, dispatcher and link are real, its seven steps are scripted. */
import { join } from 'node:path';
import type { HostStatus, UpgradeNews } from '../../../protocol/agent-link.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { makeDispatcher } from '../../../agent/deployment/dispatcher.ts';
import { makeEdgeOrders } from '../../../agent/deployment/edge-orders.ts';
import { DEFAULT_LOG_LIMITS, makeDeploymentLogs } from '../../../agent/deployment/log.ts';
import type { Clock, Ports } from '../../../agent/deployment/ports.ts';
import { DEFAULT_QUEUE_LIMITS } from '../../../agent/deployment/queue.ts';
import { DEFAULT_TIMING } from '../../../agent/hub-link/timing.ts';
import { startHubLink } from '../../../agent/hub-link/session.ts';
import type { HubLink, LinkOptions } from '../../../agent/hub-link/session.ts';
import type { HostUpgrades } from '../../../agent/hub-link/upgrades.ts';
import { hostSigner } from '../../../agent/identity/host-key.ts';
import { joinHub } from '../../../agent/identity/join.ts';
import { openJournal } from '../../../agent/journal/journal.ts';
import { systemClock } from '../../../agent/lib/clock.ts';
import { silent } from '../../../agent/lib/test-logger.ts';
import { runnerParts, scriptedPipeline, testSealer } from '../../../agent/deployment/test-bench.ts';
import { scriptedPorts } from '../../../agent/deployment/test-ports.ts';

/** Generations of the one environment whose deployments do not go live; the first one does. */
const IS_UNHEALTHY = 2;
const WAITS_IN_BUILD = 3;

export interface LinkAgent {
  readonly state: HubLink['state'];
  /** The new version of its upgrade, which has come to the switch, connects in its place. */
  replace(): Promise<void>;
  /** Advances the clock of its link, ms. */
  pass(ms: number): void;
  /** Number of reports that its hub has not acknowledged. */
  waitingReports(): number;
  stop(): Promise<void>;
}

interface LinkAgentOptions extends Partial<Pick<LinkOptions, 'appLogs'>> {
  readonly folder: string;
  readonly hubUrl: string;
  readonly joinToken: string;
}

/** Joins the hub and connects to it. */
export async function startLinkAgent({ folder, hubUrl, joinToken, ...others }: LinkAgentOptions): Promise<LinkAgent> {
  const { identity } = await joinHub(folder, { hubUrl, joinToken, name: 'vps-1', now: 0 });
  let passed = 0;
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passed };
  const journal = await openJournal({ stateFolder: folder, sealer: testSealer, log: silent, now: () => clock.now() });
  const logs = makeDeploymentLogs({
    folder: join(folder, 'logs'),
    index: journal.outbox,
    limits: DEFAULT_LOG_LIMITS,
    log: silent,
  });
  const dispatcher = makeDispatcher({
    parts: { ...runnerParts({ folder, journal, pipeline: pipeline() }), ports: emptyHost(clock), logs },
    intake: journal,
    limits: DEFAULT_QUEUE_LIMITS,
    onEnded: () => undefined,
  });
  const upgrades = scriptedUpgrades();
  let agentVersion = '0.1.0';
  const options: Omit<LinkOptions, 'agentVersion'> = {
    hubUrl,
    credentials: {
      hostId: identity.hostId,
      hubPublicKey: identity.hub?.publicKey ?? '',
      sign: hostSigner(folder),
    },
    outbox: journal.outbox,
    readLog: (...range) => logs.read(...range),
    running: () => journal.unfinished().map(({ deploymentId }) => deploymentId),
    status: async () => ({ ...STATUS, agentVersion }),
    jobs: dispatcher,
    edge: makeEdgeOrders({ journal, proxy: emptyHost(clock).proxy, clock, log: silent }),
    appLogs: others.appLogs ?? { open: neverOrdered },
    timing: { ...DEFAULT_TIMING, pingMs: 20 },
    pace: { baseMs: 10, capMs: 20 },
    clock,
    random: Math.random,
    log: silent,
    upgrades,
  };
  let link = startHubLink({ ...options, agentVersion });
  return {
    state: () => link.state(),
    async replace() {
      agentVersion = upgrades.become();
      await link.stop();
      link = startHubLink({ ...options, agentVersion });
    },
    pass: (ms) => void (passed += ms),
    waitingReports: () => journal.outbox.size(),
    async stop() {
      await link.stop();
      await dispatcher.stop(1000);
      journal.close();
    },
  };
}

function neverOrdered(): never {
  throw new Error('The log of an app was not expected.');
}

/** An agent whose upgrades succeed. It goes no further than the switch by itself: `become` replaces its process. */
function scriptedUpgrades(): HostUpgrades & { become(): string } {
  let news: UpgradeNews | null = null;
  let changed: (() => void) | null = null;
  return {
    order({ upgradeId, version }) {
      for (const state of ['fetching', 'trial', 'switching'] as const) {
        news = { type: 'upgrade-state', upgradeId, version, state };
        changed?.();
      }
    },
    news: () => news,
    onChanged: (listener) => void (changed = listener),
    become() {
      if (news?.state !== 'switching') throw new Error('No upgrade has come to its switch.');
      news = { ...news, state: 'healthy' };
      return news.version;
    },
  };
}

const pipeline = () =>
  scriptedPipeline({
    build: {
      async run({ job, log, signal }) {
        log.line(`building generation ${job.generation}`);
        log.write(Buffer.from([0xff, 0x00, 0x0a])); // bytes that are not text travel too
        if (job.generation === WAITS_IN_BUILD) await aborted(signal);
        return undefined;
      },
    },
    health: {
      async run({ job }) {
        if (job.generation !== IS_UNHEALTHY) return undefined;
        throw new OrkestrError('ORK_UNHEALTHY', 'It answered 500.', { evidence: ['HTTP 500'] });
      },
    },
  });

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));

/** A host without any containers or images: rollbacks build again, removals find nothing. */
const emptyHost = (clock: Clock): Ports =>
  scriptedPorts({
    images: { find: async () => null, list: async () => [] } as unknown as Ports['images'],
    containers: { list: async () => [], removeNetwork: async () => undefined } as unknown as Ports['containers'],
    proxy: { remove: async () => undefined } as unknown as Ports['proxy'],
    clock,
  });

const STATUS: Omit<HostStatus, 'agentVersion'> = {
  engine: { reachable: true, version: '20.10.24', liveRestore: true },
  proxy: { reachable: true },
  cgroupVersion: '2',
  memory: { totalBytes: 4e9, availableBytes: 2e9 },
  disk: { totalBytes: 8e10, availableBytes: 6e10 },
  outbox: 0,
};
