/**
 * Looks twice a second at what a build has taken, and ends it at the first limit that it breaks. The kernel keeps memory,
 * processes and disk within their bounds; a build that goes on against them would waste its host until its time is out.
 */
import type { OrkestrError } from '../../protocol/errors.ts';
import type { BuildLimits } from '../../protocol/job.ts';
import type { Clock } from '../deployment/ports.ts';
import type { VertexLog } from './build-status.ts';
import { type Breach, breachIn, logBreach, type Taken, toError } from './limits.ts';
import type { SandboxLease } from './slot.ts';

const POLL_MS = 500;

export interface LimitWatch {
  /** Aborts at the first breach. */
  readonly signal: AbortSignal;
  /** Counts output of the build's commands. */
  countLog(output: Pick<VertexLog, 'bytes' | 'at'>): void;
  /** What was taken, now. */
  look(): Promise<Taken>;
  /** The first breach as an error, with `command` as its place; null when there was none. */
  breach(command: string | null): OrkestrError | null;
  stop(): void;
}

/** Begins to watch: what is on the disk now is nothing of the build's. */
export async function watchLimits(
  { cgroup, disk }: Pick<SandboxLease, 'cgroup' | 'disk'>,
  limits: BuildLimits,
  clock: Clock,
): Promise<LimitWatch> {
  const before = await disk.use();
  const broken = new AbortController();
  const stopped = new AbortController();
  let first: Breach | null = null;
  let logBytes = 0;
  /** How old the output was that came last: it had to wait behind so much other. */
  let behindMs = 0;
  let refusedForks = 0;
  let diskBytes = 0;
  let inodes = 0;
  let crowdedSince: number | null = null;

  const look = async (): Promise<Taken> => {
    const [group, use, peakBytes] = await Promise.all([cgroup.read(), disk.use(), cgroup.peakMemory()]);
    // What a RUN took goes with it when it fails: the most that was seen stays.
    refusedForks = Math.max(refusedForks, group.refusedForks);
    diskBytes = Math.max(diskBytes, use.usedBytes - before.usedBytes);
    inodes = Math.max(inodes, use.usedInodes - before.usedInodes);
    const crowded = refusedForks > 0 && group.processes >= limits.pids * CROWDED;
    crowdedSince = crowded ? (crowdedSince ?? clock.monotonic()) : null;
    return {
      ...group,
      refusedForks,
      peakBytes,
      crowdedMs: crowdedSince === null ? 0 : clock.monotonic() - crowdedSince,
      diskBytes,
      diskLimitBytes: Math.min(limits.diskMiB * MIB, before.freeBytes),
      inodes,
      inodeLimit: Math.min(limits.inodes, before.freeInodes),
      hostFreeBytes: use.hostFreeBytes,
      logBytes,
      behindMs,
    };
  };
  const note = (breach: Breach | null): void => {
    if (breach === null || first !== null) return;
    first = breach;
    broken.abort();
  };
  const watch = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      // Not to be seen: its disk went away with its engine, which the build tells.
      const taken = await look().catch(() => null);
      if (taken !== null) note(breachIn(taken, limits));
      await clock.sleep(POLL_MS, stopped.signal);
    }
  };
  // Ended by `stop`.
  watch().catch(() => undefined);

  return {
    signal: broken.signal,
    countLog({ bytes, at }) {
      logBytes += bytes.length;
      behindMs = at === null ? 0 : clock.now() - at;
      note(logBreach(logBytes, limits));
    },
    look,
    breach: (command) => (first === null ? null : toError(first, command)),
    stop: () => stopped.abort(),
  };
}

const MIB = 1_048_576;
/** Share of the limit from which on processes are crowded: some always end just when one looks. */
const CROWDED = 0.9;
