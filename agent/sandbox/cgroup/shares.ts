/** What a slot's groups get, in the units of both kernel interfaces. */
import type { BuildLimits } from '../../../protocol/job.ts';

const MIB = 1_048_576;
export const CPU_PERIOD_US = 100_000;

/**
 * An app has 1024 under cgroup v1 and 100 under v2, by the kernel's default: a build gets a quarter of that. With a
 * twentieth it starves on a host that is busy for long, and ends by its time limit.
 */
export const CPU_SHARES = 256;
export const CPU_WEIGHT = 25;
/** The engine beside what it runs: a RUN that takes all it can get must not keep the engine from ending it. */
export const ENGINE_CPU_SHARES = 4096;
export const ENGINE_CPU_WEIGHT = 400;
/** The default is 100 in both (blkio.bfq.weight, io.weight). */
export const IO_WEIGHT = 10;

/** dockerd and containerd take 150 MiB; unpacking large layers needs page cache beside it. */
const ENGINE_LEAST_BYTES = 512 * MIB;

export const cpuQuotaUs = ({ cpus }: BuildLimits): number => Math.round(cpus * CPU_PERIOD_US);
export const memoryBytes = ({ memoryMiB }: BuildLimits): number => memoryMiB * MIB;
export const engineMemoryBytes = (limits: BuildLimits): number =>
  Math.max(ENGINE_LEAST_BYTES, Math.round(memoryBytes(limits) / 2));
