/** The receipt of a flip, from what the planes have counted so far. Pure. */
import type { FlipAnswer, FlipReceipt } from '../../protocol/proxy-admin.ts';
import type { SideCount } from '../../protocol/flip-counts.ts';
import { streamCount, sumTarget } from '../upstream/counts.ts';
import type { TargetCounts, UpstreamCounts } from '../upstream/counts.ts';
import { medianWait } from '../upstream/waits.ts';

type Flip = Pick<FlipAnswer, 'generation' | 'flippedAt' | 'previous'>;

/** @param targetId the target that has served since the flip */
export function makeReceipt(
  { generation, flippedAt, previous }: Flip,
  targetId: string,
  counts: UpstreamCounts,
): FlipReceipt {
  const retired = previous === null ? null : sideOf(counts, previous.targetId, 'retired');
  return {
    generation,
    flippedAt,
    previous: previous && {
      ...sideCount(previous.targetId, retired),
      // A forgotten target has no counts; the ones taken at the flip are the best there is.
      ...(retired === null && { requests: previous.requests }),
      inFlightAtFlip: previous.inFlight,
    },
    current: sideCount(targetId, sideOf(counts, targetId, 'active')),
    drain: retired && drainCount(retired),
    held: heldCount(counts),
    failed: counts.failedSinceFlip,
  };
}

function sideOf(counts: UpstreamCounts, targetId: string, role: TargetCounts['role']): TargetCounts | null {
  const [first, ...more] = counts.targets.filter((target) => target.id === targetId && target.role === role);
  return first === undefined ? null : sumTarget([first, ...more]);
}

function sideCount(targetId: string, side: TargetCounts | null): SideCount {
  return {
    targetId,
    requests: { served: side?.served ?? 0, failed: side?.failed ?? 0 },
    errors: side?.errors ?? 0,
    firstRequestAt: timestamp(side?.firstAt ?? 0),
    lastRequestAt: timestamp(side?.lastAt ?? 0),
  };
}

function timestamp(at: number): string | null {
  return at === 0 ? null : new Date(at).toISOString();
}

function drainCount(side: TargetCounts): NonNullable<FlipReceipt['drain']> {
  return { ms: side.drainMs, forced: side.forced, streams: streamCount(side) };
}

function heldCount({ waits }: UpstreamCounts): FlipReceipt['held'] {
  if (waits === null) return null;
  const { requests, refused, maxMs } = waits;
  return { requests, refused, p50Ms: medianWait(waits), maxMs };
}
