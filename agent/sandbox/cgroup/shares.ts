/** Shares and limits of the builds' groups, in the units of both cgroup versions. */
import type { BuildLimits } from '../../../protocol/job.ts';
import { MIB } from '../../../protocol/size.ts';

export const CPU_PERIOD_US = 100_000;

/**
 * Weight of all builds together on kernels without `cpu.idle` (before Linux 5.15): a fiftieth of an app, which by
 * default has 1024 under cgroup v1 and 100 under v2. On such kernels a group of so low a weight is preempted at once.
 */
export const YIELDING = { shares: 20, weight: 2 } as const;
/** All builds together while apps leave them nothing (starvation.ts): a quarter of an app. */
export const INSISTING = { shares: 256, weight: 25 } as const;
/** The engine relative to RUN: a RUN that takes all it can get must not keep the engine from ending it. */
export const ENGINE_CPU_SHARES = 4096;
export const ENGINE_CPU_WEIGHT = 400;
/** All builds together. The default is 100 for both blkio.bfq.weight and io.weight. */
export const IO_WEIGHT = 10;

/** dockerd and containerd take 150 MiB; unpacking large layers also needs page cache. */
const ENGINE_LEAST_BYTES = 512 * MIB;

export const cpuQuotaUs = ({ cpus }: BuildLimits): number => Math.round(cpus * CPU_PERIOD_US);
export const memoryBytes = ({ memoryMiB }: BuildLimits): number => memoryMiB * MIB;
export const engineMemoryBytes = (limits: BuildLimits): number =>
  Math.max(ENGINE_LEAST_BYTES, Math.round(memoryBytes(limits) / 2));
