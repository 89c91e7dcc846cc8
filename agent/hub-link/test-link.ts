/** For tests of the link to the hub: a link, its journal, and the orders that it received. */
import type { TestContext } from 'node:test';
import type { EdgeNews } from '../../protocol/agent-link.ts';
import type { AppLogPart, AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import type { EdgeOrder } from '../../protocol/edge-order.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';
import { makeKeyPair, signText } from '../../protocol/signing.ts';
import { DEFAULT_TIMING } from './timing.ts';
import type { LinkTiming } from './timing.ts';
import { startHubLink } from './session.ts';
import type { HubLink } from './session.ts';
import { startFakeHub } from './test-fake-hub.ts';
import type { FakeHub, FakeHubBehaviour } from './test-fake-hub.ts';
import { noUpgrades } from './upgrades.ts';
import type { HostUpgrades } from './upgrades.ts';
import type { Journal } from '../journal/journal.ts';
import { systemClock } from '../lib/clock.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { silent } from '../lib/test-logger.ts';
import { openTestJournal } from '../deployment/test-bench.ts';
import { IDS } from '../deployment/test-job.ts';

/** The deployment that the host reports as running. */
export const RUNNING = '018f0000-0000-7000-8000-0000000000ff';

/** The hub's order when somebody follows the log of an app. */
export const ORDER: AppLogRequest = { environmentId: RUNNING, tail: 5, sinceSeconds: null, follow: true, after: [] };
export const readIdOf = (n: number): string => `018f0000-0000-7000-8000-${String(n).padStart(12, '0')}`;

interface LinkBench {
  readonly hub: FakeHub;
  readonly link: HubLink;
  readonly journal: Journal;
  readonly behaviour: FakeHubBehaviour;
  readonly accepted: Job[];
  readonly refused: { deploymentId: string; error: ErrorReport }[];
  readonly cancelled: string[];
  readonly orders: EdgeOrder[];
  readonly upgrades: HostUpgrades;
  /** The reads that the hub ordered. */
  readonly appLogs: ScriptedRead[];
  readonly report: (status?: 'running' | 'failed') => void;
}

/** A link to a hub of the test's own, with a journal, until the test ends. */
export async function linkBench(
  t: TestContext,
  behaviour: Partial<FakeHubBehaviour> = {},
  timing: Partial<LinkTiming> = {},
  before: (journal: Journal) => void = () => undefined,
  clock = systemClock,
): Promise<LinkBench> {
  const host = makeKeyPair();
  const whole: FakeHubBehaviour = { hostPublicKey: host.publicKey, ...behaviour };
  const hub = await startFakeHub(whole);
  const journal = await openTestJournal(temporaryFolder(t));
  before(journal);
  const upgrades = noUpgrades('Not in a test.');
  const appLogs: ScriptedRead[] = [];
  const accepted: Job[] = [];
  const refused: LinkBench['refused'] = [];
  const cancelled: string[] = [];
  const orders: EdgeOrder[] = [];
  let tellEdge: ((news: EdgeNews) => void) | null = null;
  const link = startHubLink({
    hubUrl: hub.url,
    credentials: {
      hostId: IDS.host,
      hubPublicKey: hub.keys.publicKey,
      sign: (text) => signText(text, host.privateKey),
    },
    agentVersion: 'test',
    outbox: journal.outbox,
    readLog: (_deployment, _step, offset, length) => Buffer.from('abcdefghij'.slice(offset, offset + length)),
    running: () => [RUNNING],
    status: async () => ({
      agentVersion: 'test',
      engine: { reachable: true, version: '20.10', liveRestore: true },
      proxy: { reachable: true },
      cgroupVersion: '1',
      memory: { totalBytes: 1, availableBytes: 1 },
      disk: { totalBytes: 1, availableBytes: 1 },
      outbox: journal.outbox.size(),
    }),
    jobs: {
      accept: (job) => void accepted.push(job),
      refuse: ({ deploymentId }, error) => void refused.push({ deploymentId, error }),
      cancel: (deploymentId) => void cancelled.push(deploymentId),
    },
    upgrades,
    edge: {
      accept: (order) => void orders.push(order),
      refuse: ({ environmentId, revision }, error) =>
        tellEdge?.({ type: 'edge-state', environmentId, revision, error }),
      onNews: (listener) => void (tellEdge = listener),
    },
    appLogs: {
      open(request) {
        const read = new ScriptedRead(request);
        appLogs.push(read);
        return read;
      },
    },
    timing: { ...DEFAULT_TIMING, ...timing },
    pace: { baseMs: 10, capMs: 20 },
    clock,
    random: () => 0.5,
    log: silent,
  });
  t.after(async () => {
    await link.stop();
    await hub.close();
    journal.close();
  });
  const report = (status: 'running' | 'failed' = 'running'): void => {
    const at = new Date(0).toISOString();
    journal.outbox.add({ kind: 'deployment', deploymentId: RUNNING, generation: 1, status, at });
  };
  return { hub, link, journal, behaviour: whole, accepted, refused, cancelled, orders, upgrades, appLogs, report };
}

/** The log of an app that never stops writing. */
class ScriptedRead implements AppLogRead {
  readonly request: AppLogRequest;
  taken = 0;
  closed = false;
  /** If set, the next call throws it. */
  fails: Error | null = null;

  constructor(request: AppLogRequest) {
    this.request = request;
  }

  async next(): Promise<AppLogPart | null> {
    if (this.fails !== null) throw this.fails;
    this.taken += 1;
    const line = { at: '2030-01-01T00:00:00.000000001Z', stream: 'stdout' as const, text: `line ${this.taken}` };
    return { deploymentId: RUNNING, leftOut: 0, lines: [line] };
  }

  close(): void {
    this.closed = true;
  }
}
