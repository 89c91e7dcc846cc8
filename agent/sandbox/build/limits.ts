/** When a build exceeds one of its limits, and the message that says so. Pure. */
import { type ErrorCode } from '../../../protocol/error-catalogue.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { BuildLimits } from '../../../protocol/job.ts';
import { humanSize, MIB } from '../../../protocol/size.ts';
import type { CgroupReading } from '../cgroup/cgroup.ts';
import { engineMemoryBytes } from '../cgroup/shares.ts';

/**
 * An engine out of memory is considered flooded with output once this much has been read, or once the output read
 * arrives this late. The engine itself takes 150 MiB, whatever it builds.
 */
const FLOOD_BYTES = MIB;
const FLOOD_BEHIND_MS = 1000;
/** Share of the engine's memory at which a flood is aborted: at its limit an engine thrashes for a while first. */
export const FLOODED = 0.75;
/** A build may hit its process limit and recover; at the limit for this long, it is a fork bomb. */
const CROWDED_LIMIT_MS = 4000;
/** Below this, writing the disk's file may soon fail, which damages what is on it; and apps need some space too. */
const HOST_LEAST_BYTES = 256 * MIB;
/** A file system runs out of blocks slightly before its free count reaches 0. */
const NEARLY = 0.99;

/** A build's resource usage so far. */
export interface Taken extends CgroupReading {
  readonly peakBytes: number | null;
  /** How long it has been at its process limit without interruption. */
  readonly crowdedMs: number;
  readonly diskBytes: number;
  /** The limit, or the disk's free space at the start if that was less. */
  readonly diskLimitBytes: number;
  readonly inodes: number;
  readonly inodeLimit: number;
  readonly hostFreeBytes: number;
  /** Bytes of command output read. */
  readonly logBytes: number;
  /** Age of the latest output when it was read. */
  readonly behindMs: number;
}

export interface Breach {
  readonly code: ErrorCode;
  /** What happened, without the command. */
  readonly what: string;
  /** Second part of the sentence. */
  readonly hint?: string;
}

const FLOOD: Breach = {
  code: 'ORK_BUILD_LOG',
  what: 'The build printed more than its engine could hold',
};

/** The first limit exceeded, or null. */
export function breachIn(taken: Taken, limits: BuildLimits): Breach | null {
  if (taken.oomKills > 0) return memoryBreach(taken, limits);
  if (taken.engineOomKills > 0) {
    return taken.logBytes >= FLOOD_BYTES || taken.behindMs >= FLOOD_BEHIND_MS
      ? FLOOD
      : { code: 'ORK_BUILD_MEMORY', what: 'The build made its engine run out of memory' };
  }
  if (taken.behindMs >= FLOOD_BEHIND_MS && taken.engineBytes >= engineMemoryBytes(limits) * FLOODED) return FLOOD;
  if (taken.diskBytes >= taken.diskLimitBytes * NEARLY) return diskBreach(taken);
  if (taken.inodes >= taken.inodeLimit * NEARLY) return inodeBreach(taken);
  if (taken.hostFreeBytes < HOST_LEAST_BYTES) {
    return { code: 'ORK_DISK_FULL', what: `The host has ${humanSize(taken.hostFreeBytes)} of disk left` };
  }
  if (taken.crowdedMs >= CROWDED_LIMIT_MS) return processBreach(limits);
  return null;
}

function memoryBreach({ peakBytes, oomKills, hostOomKills }: Taken, { memoryMiB }: BuildLimits): Breach {
  const peak = peakBytes === null ? '' : `, peak ${humanSize(peakBytes)}`;
  // If every kill was the host's, the limit was above what the host could give.
  if (hostOomKills === oomKills) {
    return {
      code: 'ORK_BUILD_MEMORY',
      what: `The host had no memory left for the build: limit ${humanSize(memoryMiB * MIB)}${peak}`,
      hint: 'add memory or swap to the host, or let another host build (buildHost)',
    };
  }
  return {
    code: 'ORK_BUILD_MEMORY',
    what: `The build ran out of memory: limit ${humanSize(memoryMiB * MIB)}${peak}`,
    hint: `builds of this size usually need ${humanSize(nextMemoryMiB(memoryMiB) * MIB)}`,
  };
}

/** A program filled its heap, which is sized as a share of the memory. */
export const heapBreach = ({ memoryMiB }: BuildLimits): Breach => ({
  code: 'ORK_BUILD_MEMORY',
  what: `A program of the build filled its heap, which is part of the build memory: ${humanSize(memoryMiB * MIB)}`,
  hint: `builds of this size usually need ${humanSize(nextMemoryMiB(memoryMiB) * MIB)}`,
});

/** The first power of two at or above 1.5 times the limit: 1000 → 2048, since half a step is rarely enough. */
const nextMemoryMiB = (memoryMiB: number): number => 2 ** Math.ceil(Math.log2(memoryMiB * 1.5));

const diskBreach = ({ diskBytes, diskLimitBytes }: Taken): Breach => ({
  code: 'ORK_BUILD_DISK',
  what: `The build wrote too much to its disk: ${humanSize(diskBytes)}, limit ${humanSize(diskLimitBytes)}`,
});

/** A write failed before the watch noticed the limit. */
export const fullDisk = ({ diskLimitBytes }: Taken): Breach => ({
  code: 'ORK_BUILD_DISK',
  what: `The build filled its disk: limit ${humanSize(diskLimitBytes)}`,
});

export const inodeBreach = ({ inodes, inodeLimit }: Taken): Breach => ({
  code: 'ORK_BUILD_INODES',
  what: `The build created too many files: ${inodes}, limit ${inodeLimit}`,
});

export const processBreach = ({ pids }: BuildLimits): Breach => ({
  code: 'ORK_BUILD_PROCESSES',
  what: `The build started too many processes: limit ${pids}`,
});

export function logBreach(bytes: number, { logMiB }: BuildLimits): Breach | null {
  if (bytes <= logMiB * MIB) return null;
  return { code: 'ORK_BUILD_LOG', what: `The build printed too much: limit ${humanSize(logMiB * MIB)} of output` };
}

export const timeBreach = ({ timeoutSeconds }: BuildLimits): Breach => ({
  code: 'ORK_BUILD_TIMEOUT',
  what: `The build did not finish within its limit of ${timeoutSeconds} s`,
});

export function imageBreach(bytes: number, { imageMiB }: BuildLimits): Breach | null {
  if (bytes <= imageMiB * MIB) return null;
  const what = `The image is too large: ${humanSize(bytes)}, limit ${humanSize(imageMiB * MIB)}`;
  return { code: 'ORK_IMAGE_TOO_LARGE', what };
}

interface Layer {
  /** Bytes. */
  readonly Size: number;
  /** The command behind it, in the engine's form: `RUN /bin/sh -c npm ci # buildkit`. */
  readonly CreatedBy: string;
}

/** Adds the command behind the image's largest layer to the breach. */
export function withLargest(breach: Breach, layers: readonly Layer[]): Breach {
  // Imported layers have no command.
  const [largest] = layers.filter(({ CreatedBy }) => CreatedBy !== '').toSorted((one, other) => other.Size - one.Size);
  if (largest === undefined) return breach;
  const command = largest.CreatedBy.replace(/^RUN (?:\|\d+ .*? )?\/bin\/sh -c /, 'RUN ').replace(/ # buildkit$/, '');
  return { ...breach, hint: `its largest layer has ${humanSize(largest.Size)}, made by \`${command.slice(0, 200)}\`` };
}

/** @param command the command it happened in, "RUN npm run build"; null if unknown */
export function toError(breach: Breach, command: string | null, evidence: readonly string[] = []): OrkestrError {
  const where = command === null ? '' : `, in \`${command}\``;
  const hint = breach.hint === undefined ? '' : `; ${breach.hint}`;
  return new OrkestrError(breach.code, `${breach.what}${where}${hint}.`, { evidence });
}
