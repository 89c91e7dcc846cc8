/**
 * Observe, plan, do: makes the host agree with the journal, at boot, every minute and when something has changed. One
 * round runs at a time. Its revivals continue alongside later rounds, because an app may take an hour to start or never
 * get healthy.
 */
import { isSameEdge } from '../../protocol/edge-order.ts';
import type { FlipRequest, UpstreamEntry, UpstreamView } from '../../protocol/proxy-admin.ts';
import { type ErrorReport, toErrorReport } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { canaryOf } from '../deployment/upstream.ts';
import type { ContainerState, Ports } from '../deployment/ports.ts';
import type { LiveRecord } from '../deployment/records.ts';
import type { AppWatch } from './app-watch.ts';
import type { Action, Observed, Remembered } from './plan.ts';
import { isBeingRemoved, isHeldByDeployment, isInOtherHands, isServedAt, plan } from './plan.ts';

const REMOVE_GRACE_SECONDS = 10;
/** Changes come several at a time: when a host has booted, or the whole engine has come back. */
const SOON_MS = 200;

export interface ReconcileParts {
  readonly ports: Pick<Ports, 'containers' | 'proxy' | 'workspaces' | 'clock'>;
  /** Restores what every round relies on: the firewall. Its failure is logged and does not end the round. */
  readonly before: () => Promise<void>;
  readonly listWorkspaces: () => Promise<readonly string[]>;
  readonly remembered: () => Remembered;
  adopt(live: LiveRecord): void;
  moveLive(environmentId: string, address: string): void;
  /** Starts and probes the live target. Returns its address. */
  revive(live: LiveRecord, signal: AbortSignal): Promise<string>;
  /** Is shown what each round sees of the live apps. */
  readonly appWatch: Pick<AppWatch, 'look'>;
  readonly log: Logger;
}

export interface Reconciler {
  /**
   * Runs one round. A call during a round waits for that round and starts no second. Revivals continue. Never throws.
   */
  look(): Promise<void>;
  /** Runs one round and waits for its revivals. */
  run(): Promise<void>;
  /** Something has changed: runs a round soon, after the one in progress. */
  lookSoon(): void;
  stop(): Promise<void>;
}

/** @param everyMs pause between rounds; the caller starts the first, since it knows when the rest is ready */
export function makeReconciler(parts: ReconcileParts, everyMs: number): Reconciler {
  const stopped = new AbortController();
  const revivals = makeRevivals(parts, stopped.signal);
  let round: Promise<void> | null = null;
  let soon: NodeJS.Timeout | null = null;
  const begin = async (): Promise<void> => {
    if (stopped.signal.aborted) return;
    round ??= reconcile(parts, revivals, stopped.signal)
      // Leaves what is not known for sure as it is: an unreadable journal must not count as an empty one.
      .catch((error: unknown) => parts.log.error({ err: error }, 'reconcile could not look at the journal'))
      .finally(() => {
        round = null;
      });
    await round;
  };
  const timer = setInterval(() => void begin(), everyMs);
  return {
    look: begin,
    async run() {
      await begin();
      await revivals.ended();
    },
    lookSoon() {
      soon ??= setTimeout(() => {
        soon = null;
        void (round ?? Promise.resolve()).then(begin);
      }, SOON_MS);
    },
    async stop() {
      clearInterval(timer);
      if (soon) clearTimeout(soon);
      stopped.abort();
      await round;
      await revivals.ended();
    },
  };
}

interface Revivals {
  /** At most one at a time per environment. */
  begin(live: LiveRecord): void;
  /** Why the last one of the environment failed; null: it did not, or there was none. */
  failure(environmentId: string): ErrorReport | null;
  /** Forgets the failures of all environments but these, which still need to be revived. */
  keepFailures(environmentIds: ReadonlySet<string>): void;
  /** Resolves when those in progress have ended. */
  ended(): Promise<void>;
}

function makeRevivals(parts: ReconcileParts, signal: AbortSignal): Revivals {
  /** By environment. */
  const running = new Map<string, Promise<void>>();
  const failures = new Map<string, ErrorReport>();
  /** Only what concerns the app itself counts as its failure, not a proxy that does not answer. */
  const noting: ReconcileParts = {
    ...parts,
    async revive(live, until) {
      try {
        const address = await parts.revive(live, until);
        failures.delete(live.environmentId);
        return address;
      } catch (error) {
        if (!until.aborted) failures.set(live.environmentId, toErrorReport(error));
        throw error;
      }
    },
  };
  const revive = async (live: LiveRecord): Promise<void> => {
    try {
      await restore(noting, live, signal);
    } catch (error) {
      // It must not hold up others; the next round tries again.
      parts.log.warn({ err: error, action: 'revive', on: live.deploymentId }, 'reconcile');
    } finally {
      running.delete(live.environmentId);
    }
  };
  return {
    begin(live) {
      if (!running.has(live.environmentId)) running.set(live.environmentId, revive(live));
    },
    failure: (environmentId) => failures.get(environmentId) ?? null,
    keepFailures(environmentIds) {
      for (const id of failures.keys()) if (!environmentIds.has(id)) failures.delete(id);
    },
    async ended() {
      await Promise.all(running.values());
    },
  };
}

async function reconcile(parts: ReconcileParts, revivals: Revivals, signal: AbortSignal): Promise<void> {
  await parts.before().catch((error: unknown) => parts.log.warn({ err: error }, 'the firewall is not in place'));
  const observed = await observe(parts);
  const remembered = parts.remembered();
  const actions = plan(observed, remembered);
  revivals.keepFailures(new Set(actions.flatMap((one) => (one.kind === 'revive' ? [one.live.environmentId] : []))));
  showApps(parts, revivals, observed, remembered);
  for (const action of actions) {
    if (signal.aborted) return;
    try {
      await perform(parts, revivals, action);
    } catch (error) {
      // A failed action must not hold up the others; the next round tries again.
      parts.log.warn({ err: error, action: action.kind, on: subjectOf(action) }, 'reconcile');
    }
  }
}

interface Seen extends Observed {
  readonly containers: readonly ContainerState[] | null;
}

/** Says nothing if the engine does not answer: its containers may well run. */
function showApps({ appWatch }: ReconcileParts, revivals: Revivals, observed: Seen, remembered: Remembered): void {
  const { containers } = observed;
  if (containers === null) return;
  appWatch.look(
    remembered.live.map((live) => ({
      live,
      container: containers.find(({ deploymentId }) => deploymentId === live.deploymentId) ?? null,
      failure: revivals.failure(live.environmentId),
      inOtherHands: isInOtherHands(observed, remembered, live),
    })),
  );
}

async function observe({ ports, listWorkspaces, log }: ReconcileParts): Promise<Seen> {
  const orNull = async <T>(what: string, work: Promise<T>): Promise<T | null> => {
    try {
      return await work;
    } catch (error) {
      // Not seen is not gone: the planner leaves alone what it cannot see.
      log.warn({ err: error }, `reconcile cannot see the ${what}`);
      return null;
    }
  };
  const [containers, table, workspaces] = await Promise.all([
    orNull('containers', ports.containers.list()),
    orNull('proxy', ports.proxy.table()),
    orNull('workspaces', listWorkspaces()),
  ]);
  return { containers, table, workspaces: workspaces ?? [] };
}

async function perform(parts: ReconcileParts, revivals: Revivals, action: Action): Promise<void> {
  parts.log.info(
    { action: action.kind, on: subjectOf(action), ...('why' in action && { why: action.why }) },
    'reconcile',
  );
  switch (action.kind) {
    case 'adopt':
      return parts.adopt(action.live);
    case 'revive':
      return revivals.begin(action.live);
    case 'remove-container':
      if (isNeededNow(parts, action.deploymentId)) return;
      return parts.ports.containers.stopAndRemove(action.name, REMOVE_GRACE_SECONDS);
    case 'remove-workspace':
      if (isNeededNow(parts, action.deploymentId)) return;
      return parts.ports.workspaces.remove(action.deploymentId);
  }
}

const subjectOf = (action: Action): string => ('live' in action ? action.live.deploymentId : action.deploymentId);

/** The plan is a moment old: a job may have come since. */
function isNeededNow({ remembered }: ReconcileParts, deploymentId: string): boolean {
  const { live, unfinished } = remembered();
  return [...live, ...unfinished].some((one) => one.deploymentId === deploymentId);
}

/**
 * Same generation, same target id, current address: the proxy treats that as a move (protocol/proxy-admin.ts). If a
 * newer flip was undone, the generation is the table's. A canary stays.
 */
async function restore(parts: ReconcileParts, live: LiveRecord, signal: AbortSignal): Promise<void> {
  const address = await parts.revive(live, signal);
  const { upstreams } = await parts.ports.proxy.table();
  // Read again: a route removed, or an edge setting changed, while the app started must not come back.
  const entry = stillLive(parts, live)?.entry;
  if (entry === undefined) return;
  const seen = upstreams.find(({ id }) => id === entry.id);
  const active = seen?.targets.find(({ state }) => state === 'healthy');
  const isOurs = active?.id === live.deploymentId;
  if (seen && seen.generation > entry.generation && !isOurs) return; // a newer deployment flipped meanwhile
  // A deployment that began meanwhile has its own way to the flip, or back.
  if (seen && isHeldByDeployment(seen, parts.remembered().unfinished)) return;
  if (!isOurs || !isRight(seen, entry, live.deploymentId, address))
    await parts.ports.proxy.flip(moveTo(address, entry, seen));
  // A deployment may have been unable to end its hold. Now a target serves again, and not every flip ends a hold.
  if (seen && seen.held !== null) await parts.ports.proxy.resume({ upstreamId: entry.id });
  if (entry.targets.some((target) => target.address !== address)) parts.moveLive(live.environmentId, address);
}

/** Whether the table has the right data for the target. */
const isRight = (
  seen: UpstreamView | undefined,
  entry: UpstreamEntry,
  deploymentId: string,
  address: string,
): boolean =>
  seen !== undefined &&
  isServedAt(seen, deploymentId, address) &&
  seen.generation >= entry.generation &&
  isSameEdge(seen, entry);

/** The live record as it is now. */
function stillLive(
  { remembered }: ReconcileParts,
  { deploymentId, environmentId }: LiveRecord,
): LiveRecord | undefined {
  const { live, unfinished } = remembered();
  if (isBeingRemoved(environmentId, unfinished)) return undefined;
  return live.find((one) => one.deploymentId === deploymentId);
}

function moveTo(address: string, entry: UpstreamEntry, seen: UpstreamView | undefined): FlipRequest {
  const expectedGeneration = seen?.generation ?? 0;
  const generation = Math.max(entry.generation, expectedGeneration);
  const targets = entry.targets.map((target) => ({ ...target, address }));
  const canary = seen && canaryOf(seen);
  return { entry: { ...entry, generation, targets, ...(canary && { canary }) }, expectedGeneration };
}
