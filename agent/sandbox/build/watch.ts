/**
 * Checks a build's resource usage twice a second and aborts the build at the first limit exceeded. The kernel enforces
 * memory, processes and disk; a build that keeps hitting them would waste the host's resources until its timeout.
 */
import type { OrkestrError } from '../../../protocol/errors.ts';
import type { BuildLimits } from '../../../protocol/job.ts';
import { MIB } from '../../../protocol/size.ts';
import type { VertexLog } from '../progress/build-status.ts';
import { type Breach, breachIn, logBreach, type Taken, toError } from './limits.ts';
import type { HeldSlot } from '../slot/slot.ts';

const POLL_MS = 500;

export interface LimitWatch {
  /** Aborts at the first breach. */
  readonly signal: AbortSignal;
  /** Counts output of the build's commands. */
  countLog(output: Pick<VertexLog, 'bytes' | 'at'>): void;
  /** Current usage. */
  look(): Promise<Taken>;
  /** The first breach as an error that names `command`; null if there is none. */
  breach(command: string | null): OrkestrError | null;
  stop(): void;
}

/** Starts watching. What is already on the disk does not count. */
export async function watchLimits(
  { cgroup, disk, clock }: Pick<HeldSlot, 'cgroup' | 'disk' | 'clock'>,
  limits: BuildLimits,
): Promise<LimitWatch> {
  const before = await disk.use();
  const broken = new AbortController();
  const stopped = new AbortController();
  let first: Breach | null = null;
  let logBytes = 0;
  /** Age of the latest output on arrival: how long it queued behind other output. */
  let behindMs = 0;
  let refusedForks = 0;
  let diskBytes = 0;
  let inodes = 0;
  let crowdedSince: number | null = null;

  const look = async (): Promise<Taken> => {
    const [group, use, peakBytes] = await Promise.all([cgroup.read(), disk.use(), cgroup.peakMemory()]);
    // A failed RUN takes its usage with it, so keep the maximum.
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
      // Unreadable: the disk is gone with the engine, which the build itself reports.
      const taken = await look().catch(() => null);
      if (taken !== null) note(breachIn(taken, limits));
      await clock.sleep(POLL_MS, stopped.signal);
    }
  };
  // Ends by `stop`.
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

/** Share of the process limit that counts as crowded: at any moment some processes are just exiting. */
const CROWDED = 0.9;
