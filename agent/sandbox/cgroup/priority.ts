/**
 * Share of processors and disks for all builds together, relative to apps: the weights of the group above all slots.
 *
 * When yielding, the group is idle (`cpu.idle`, kernel: admin-guide/cgroup-v2.rst): it runs only when nothing else
 * wants to and is preempted at once. A small weight alone does not do that: a running process keeps the processor until
 * the end of its slice, up to a clock tick, and only then do weights count.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serialize } from '../../lib/serialize.ts';
import { type BuildGroup, CGROUP_ROOT, isV2 } from './group.ts';
import { writeIfThere } from './group-file.ts';
import { INSISTING, IO_WEIGHT, YIELDING } from './shares.ts';

/** Longer than an engine takes to start if it gets a processor. If it gets none, it needs 200 ms of CPU in all. */
const HURRY_AFTER_MS = 500;

export interface BuildPriority {
  /** Writes the weights to the group, which the first slot creates. May be called repeatedly. */
  apply(): Promise<void>;
  /** False: builds get only what apps leave. True: builds get a share of their own. */
  insist(on: boolean): Promise<void>;
  /**
   * Insists while `work` starts an engine or ends a build, if that takes longer than a moment: even a killed process
   * needs a processor to exit, and both must finish within seconds. Most hosts have one to spare.
   */
  hurry<T>(work: () => Promise<T>): Promise<T>;
  /** Processor time of all builds so far, ms; null if there is no group. */
  cpuMs(): Promise<number | null>;
}

interface GroupFiles {
  readonly cpu: string;
  readonly weightFile: string;
  readonly weight: 'shares' | 'weight';
  readonly io: readonly (readonly [path: string, text: string])[];
  readonly cpuMs: () => Promise<number | null>;
}

/** @param hurryAfterMs time that a starting engine, or the killed processes of a build, get before builds insist */
export function makeBuildPriority(
  { atTop }: BuildGroup,
  root: string = CGROUP_ROOT,
  hurryAfterMs = HURRY_AFTER_MS,
): BuildPriority {
  const files = isV2(root) ? filesOfV2(atTop, root) : filesOfV1(atTop, root);
  let insists = false;
  let hurries = 0;
  // Concurrent writes could finish out of order, and builds would insist until the next write.
  const inTurn = serialize();
  const write = async (): Promise<void> => {
    const insisting = insists || hurries > 0;
    const isIdle = await writeIfThere(join(files.cpu, 'cpu.idle'), insisting ? '0' : '1');
    const { [files.weight]: weight } = insisting ? INSISTING : YIELDING;
    // An idle group has the minimum weight and refuses to change it (EINVAL).
    if (insisting || !isIdle) await writeIfThere(join(files.cpu, files.weightFile), String(weight));
    for (const [path, text] of files.io) await writeIfThere(path, text);
  };
  const apply = (): Promise<void> => inTurn(write);

  return {
    apply,
    cpuMs: files.cpuMs,
    async insist(on) {
      insists = on;
      await apply();
    },
    async hurry(work) {
      let isLate = false;
      const late = setTimeout(() => {
        isLate = true;
        hurries += 1;
        apply().catch(() => undefined); // without it the work just takes longer
      }, hurryAfterMs);
      try {
        return await work();
      } finally {
        clearTimeout(late);
        if (isLate) {
          hurries -= 1;
          await apply();
        }
      }
    },
  };
}

function filesOfV1(group: string, root: string): GroupFiles {
  return {
    cpu: join(root, 'cpu', group),
    weightFile: 'cpu.shares',
    weight: 'shares',
    io: [[join(root, 'blkio', group, 'blkio.bfq.weight'), String(IO_WEIGHT)]],
    async cpuMs() {
      const text = await readIfThere(join(root, 'cpuacct', group, 'cpuacct.usage'));
      return text === null ? null : Number(text) / 1e6;
    },
  };
}

function filesOfV2(group: string, root: string): GroupFiles {
  const folder = join(root, group);
  return {
    cpu: folder,
    weightFile: 'cpu.weight',
    weight: 'weight',
    io: [
      [join(folder, 'io.weight'), `default ${IO_WEIGHT}`],
      [join(folder, 'io.bfq.weight'), String(IO_WEIGHT)],
    ],
    async cpuMs() {
      const text = await readIfThere(join(folder, 'cpu.stat'));
      const usage = text === null ? undefined : /^usage_usec (\d+)$/m.exec(text)?.[1];
      return usage === undefined ? null : Number(usage) / 1000;
    },
  };
}

/** Error codes for a group without builds yet, and for one removed while being read. */
const NO_GROUP = ['ENOENT', 'ENODEV'];

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (NO_GROUP.includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
