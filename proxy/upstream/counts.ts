/**
 * What a plane counts, as plain numbers: those of several processes are added up, and the admin API's answers are made
 * from the sums (control/view.ts, control/receipt.ts).
 */
import { z } from 'zod';
import { TargetAddress } from '../../protocol/proxy-admin.ts';
import { sumWaits, WaitCounts } from './waits.ts';

/** The part that a target plays in its upstream. */
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
  /** Answers of 500 and above that the app gave. */
  errors: z.int(),
  /** While it was active: answers that it gave or owed, and those of them that were no good. */
  answers: z.int(),
  faults: z.int(),
  /** Wall clock of the first and last claim, ms since the epoch; 0: none. */
  firstAt: z.number(),
  lastAt: z.number(),
  /** Plain requests that drains cut. */
  forced: z.int(),
  /** Streams among what was in flight when it was retired, and those that drains closed. */
  streamsCarried: z.int(),
  streamsClosed: z.int(),
  /** From its retirement until it was empty, or until now, ms; 0 while it serves. */
  drainMs: z.number(),
});
export type TargetCounts = z.infer<typeof TargetCounts>;

export const UpstreamCounts = z.object({
  id: z.string(),
  targets: z.array(TargetCounts),
  /** Answers 502, 503 and 504 of the proxy itself, and those since the last flip. */
  failed: z.int(),
  failedSinceFlip: z.int(),
  /** Requests that wait now; null: it is not held. */
  held: z.int().nullable(),
  /** Of the hold before the last flip; null: there was none. */
  waits: WaitCounts.nullable(),
});
export type UpstreamCounts = z.infer<typeof UpstreamCounts>;

/** The counts of several planes as those of one: upstreams and targets in the order of the first that has them. */
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
    // Planes may know retired targets that the first one does not.
    targets: targets.map(sumTarget).toSorted((a, b) => order(a.role) - order(b.role)),
    failed: total(parts, ({ failed }) => failed),
    failedSinceFlip: total(parts, ({ failedSinceFlip }) => failedSinceFlip),
    held: held.length > 0 ? total(held, (one) => one) : null,
    waits: waits.length > 0 ? sumWaits(waits) : null,
  };
}

/** Several entries: of several planes, or of a target that was active more than once. */
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

/** Streams of a drained target that ended by themselves. */
export function streamsEnded({ streamsCarried, streamsClosed, streams }: TargetCounts): number {
  return Math.max(0, streamsCarried - streamsClosed - streams);
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
