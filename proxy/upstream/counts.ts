/**
 * What a plane counts, as plain numbers, so that the counts of several processes can be summed. The admin API builds
 * its answers from the sums (control/view.ts, control/receipt.ts).
 */
import { z } from 'zod';
import type { StreamCount } from '../../protocol/flip-counts.ts';
import { TargetAddress } from '../../protocol/proxy-admin.ts';
import { sumWaits, WaitCounts } from './waits.ts';

/** The role of a target in its upstream. */
export const TargetRole = z.enum(['active', 'canary', 'retired']);
export type TargetRole = z.infer<typeof TargetRole>;

export const TargetCounts = TargetAddress.extend({
  role: TargetRole,
  suspended: z.boolean(),
  inFlight: z.int(),
  streams: z.int(),
  served: z.int(),
  failed: z.int(),
  abandoned: z.int(),
  /** Responses of the app with status 500 and above. */
  errors: z.int(),
  /** While it was active: responses that came or were due, and those that were 500 and above, broken or missing. */
  answers: z.int(),
  faults: z.int(),
  /** Wall clock of the first and last claim, ms since the epoch; 0: no claim. */
  firstAt: z.number(),
  lastAt: z.number(),
  /** Plain requests that drains cut. */
  forced: z.int(),
  /** Streams in flight when the target was retired, and how many of them drains closed. */
  streamsCarried: z.int(),
  streamsClosed: z.int(),
  /** From its retirement until it was empty, or until now if it is not, ms; 0 while it serves. */
  drainMs: z.number(),
});
export type TargetCounts = z.infer<typeof TargetCounts>;

export const UpstreamCounts = z.object({
  id: z.string(),
  targets: z.array(TargetCounts),
  /** Requests that the proxy answered 502, 503 or 504, or whose response broke off; those since the last flip. */
  failed: z.int(),
  failedSinceFlip: z.int(),
  /** Requests that wait now; null: no hold. */
  held: z.int().nullable(),
  /** Waits of the holds before the last flip; null: there were none. */
  waits: WaitCounts.nullable(),
});
export type UpstreamCounts = z.infer<typeof UpstreamCounts>;

/** Sums the counts of several planes. Upstreams and targets are in the order of the first plane that has them. */
export function sumCounts(planes: readonly (readonly UpstreamCounts[])[]): UpstreamCounts[] {
  return grouped(planes.flat(), ({ id }) => id).map(sumUpstream);
}

function sumUpstream(parts: readonly [UpstreamCounts, ...UpstreamCounts[]]): UpstreamCounts {
  const targets = grouped(
    parts.flatMap((part) => part.targets),
    ({ role, id, address, port }) => `${role} ${id} ${address} ${port}`,
  );
  const waits = parts.flatMap((part) => part.waits ?? []);
  const held = parts.flatMap((part) => part.held ?? []);
  return {
    id: parts[0].id,
    // Other planes may know retired targets that the first one does not.
    targets: targets.map(sumTarget).toSorted((a, b) => order(a.role) - order(b.role)),
    failed: total(parts, ({ failed }) => failed),
    failedSinceFlip: total(parts, ({ failedSinceFlip }) => failedSinceFlip),
    held: held.length > 0 ? total(held, (one) => one) : null,
    waits: waits.length > 0 ? sumWaits(waits) : null,
  };
}

/** Sums several entries of one target: of several planes, or of a target that was active more than once. */
export function sumTarget(parts: readonly [TargetCounts, ...TargetCounts[]]): TargetCounts {
  const sum = (of: (one: TargetCounts) => number): number => total(parts, of);
  const firsts = parts.map(({ firstAt }) => firstAt).filter((at) => at > 0);
  return {
    ...parts[0],
    suspended: parts.some(({ suspended }) => suspended),
    inFlight: sum(({ inFlight }) => inFlight),
    streams: sum(({ streams }) => streams),
    served: sum(({ served }) => served),
    failed: sum(({ failed }) => failed),
    abandoned: sum(({ abandoned }) => abandoned),
    errors: sum(({ errors }) => errors),
    answers: sum(({ answers }) => answers),
    faults: sum(({ faults }) => faults),
    firstAt: firsts.length > 0 ? Math.min(...firsts) : 0,
    lastAt: Math.max(...parts.map(({ lastAt }) => lastAt)),
    forced: sum(({ forced }) => forced),
    streamsCarried: sum(({ streamsCarried }) => streamsCarried),
    streamsClosed: sum(({ streamsClosed }) => streamsClosed),
    drainMs: Math.max(...parts.map(({ drainMs }) => drainMs)),
  };
}

/** What has become of the streams of a drained target; the ones that are still open are only among the carried. */
export function streamCount({ streamsCarried, streamsClosed, streams }: TargetCounts): StreamCount {
  const ended = Math.max(0, streamsCarried - streamsClosed - streams);
  return { carried: streamsCarried, ended, closed: streamsClosed };
}

function order(role: TargetRole): number {
  return TargetRole.options.indexOf(role);
}

function total<T>(parts: readonly T[], of: (part: T) => number): number {
  return parts.reduce((sum, part) => sum + of(part), 0);
}

function grouped<T>(all: readonly T[], key: (one: T) => string): [T, ...T[]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const one of all) {
    const group = groups.get(key(one));
    if (group) group.push(one);
    else groups.set(key(one), [one]);
  }
  return [...groups.values()];
}
