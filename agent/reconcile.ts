/** Observe, plan, do: makes the host agree with the journal, at boot and every minute. One round at a time. */
import type { FlipRequest, TableView, UpstreamEntry } from '../protocol/proxy-admin.ts';
import type { Logger } from '../protocol/service/logger.ts';
import { canaryOf } from './deployment/entry.ts';
import type { Ports } from './deployment/ports.ts';
import type { LiveRecord } from './deployment/records.ts';
import type { Action, Observed, Remembered } from './reconcile/plan.ts';
import { isServedAt, plan } from './reconcile/plan.ts';

type UpstreamView = TableView['upstreams'][number];

const REMOVE_GRACE_SECONDS = 10;

export interface ReconcileParts {
  readonly ports: Pick<Ports, 'containers' | 'proxy' | 'workspaces' | 'clock'>;
  /** Brings back what every round relies on: the firewall. Its failure is told and ends nothing. */
  readonly before: () => Promise<void>;
  readonly listWorkspaces: () => Promise<readonly string[]>;
  readonly remembered: () => Remembered;
  adopt(live: LiveRecord): void;
  moveLive(environmentId: string, address: string): void;
  /** Starts and probes the live target; its address. */
  revive(live: LiveRecord, signal: AbortSignal): Promise<string>;
  readonly log: Logger;
}

export interface Reconciler {
  /** One round; a call during a round waits for that one and does no second. Never throws. */
  run(): Promise<void>;
  stop(): Promise<void>;
}

/** @param everyMs pause between rounds; the first is the caller's, who knows when the rest is ready */
export function makeReconciler(parts: ReconcileParts, everyMs: number): Reconciler {
  const stopped = new AbortController();
  let round: Promise<void> | null = null;
  const run = (): Promise<void> => {
    round ??= reconcile(parts, stopped.signal)
      // What is not known for sure is left as it is: a journal that cannot be read is no list of what may go.
      .catch((error: unknown) => parts.log.error({ err: error }, 'reconcile could not look at the journal'))
      .finally(() => {
        round = null;
      });
    return round;
  };
  const timer = setInterval(() => void run(), everyMs);
  return {
    run,
    async stop() {
      clearInterval(timer);
      stopped.abort();
      await round;
    },
  };
}

async function reconcile(parts: ReconcileParts, signal: AbortSignal): Promise<void> {
  await parts.before().catch((error: unknown) => parts.log.warn({ err: error }, 'the firewall is not in place'));
  const observed = await observe(parts);
  for (const action of plan(observed, parts.remembered())) {
    if (signal.aborted) return;
    try {
      await perform(parts, action, signal);
    } catch (error) {
      // One that fails must not keep the others from their turn; the next round tries it again.
      parts.log.warn({ err: error, action: action.kind, on: subjectOf(action) }, 'reconcile');
    }
  }
}

async function observe({ ports, listWorkspaces, log }: ReconcileParts): Promise<Observed> {
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

async function perform(parts: ReconcileParts, action: Action, signal: AbortSignal): Promise<void> {
  parts.log.info(
    { action: action.kind, on: subjectOf(action), ...('why' in action && { why: action.why }) },
    'reconcile',
  );
  switch (action.kind) {
    case 'adopt':
      return parts.adopt(action.live);
    case 'revive':
      return restore(parts, action.live, signal);
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
 * Same generation, same target id, the address it has now: the proxy takes that as a move (protocol/proxy-admin.ts). The
 * generation is the table's where a newer flip was taken back. A canary stays.
 */
async function restore(parts: ReconcileParts, live: LiveRecord, signal: AbortSignal): Promise<void> {
  const address = await parts.revive(live, signal);
  const { entry } = live;
  const { upstreams } = await parts.ports.proxy.table();
  const seen = upstreams.find(({ id }) => id === entry.id);
  const active = seen?.targets.find(({ state }) => state === 'healthy');
  const isOurs = seen !== undefined && active?.id === live.deploymentId;
  if (seen && seen.generation > entry.generation && !isOurs) return; // a newer deployment flipped meanwhile
  const isRight = isOurs && isServedAt(seen, live.deploymentId, address) && seen.generation >= entry.generation;
  if (!isRight) await parts.ports.proxy.flip(moveTo(address, entry, seen));
  // A deployment that could not take its hold back: now there is somebody to serve again.
  else if (seen.held !== null) await parts.ports.proxy.resume({ upstreamId: entry.id });
  if (entry.targets.some((target) => target.address !== address)) parts.moveLive(live.environmentId, address);
}

function moveTo(address: string, entry: UpstreamEntry, seen: UpstreamView | undefined): FlipRequest {
  const expectedGeneration = seen?.generation ?? 0;
  const generation = Math.max(entry.generation, expectedGeneration);
  const targets = entry.targets.map((target) => ({ ...target, address }));
  const canary = seen && canaryOf(seen);
  return { entry: { ...entry, generation, targets, ...(canary && { canary }) }, expectedGeneration };
}
