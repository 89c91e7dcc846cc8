/**
 * What all builds together may take of the processors and disks, beside apps: the weights of the group above all slots.
 *
 * Yielding, the group is idle (`cpu.idle`, kernel: admin-guide/cgroup-v2.rst): it runs while nobody else wants to, and gives a
 * processor away the moment somebody does. A small weight alone does not do that: whoever runs keeps the processor until
 * the scheduler's slice is over, up to a tick of the clock, and only then weights count.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serialize } from '../../lib/serialize.ts';
import { type BuildGroup, CGROUP_ROOT, isV2 } from './group.ts';
import { writeIfThere } from './group-file.ts';
import { INSISTING, IO_WEIGHT, YIELDING } from './shares.ts';

/** More than an engine takes to start where it gets a processor. One that gets none needs a fifth of a second of it in all. */
const HURRY_AFTER_MS = 500;

export interface BuildPriority {
  /** Writes it down in the group, which the first slot makes. Again and again is fine. */
  apply(): Promise<void>;
  /** False: builds take what apps leave. True: a share of their own. */
  insist(on: boolean): Promise<void>;
  /**
   * Insists while `work` starts an engine or ends a build, if that takes longer than a moment: who is killed needs a processor to
   * die, and both are to be done within seconds. Most hosts leave them one, and then apps need not notice.
   */
  hurry<T>(work: () => Promise<T>): Promise<T>;
  /** Processor time of all builds until now, ms; null while there is no group. */
  cpuMs(): Promise<number | null>;
}

interface GroupFiles {
  readonly cpu: string;
  readonly weightFile: string;
  readonly weight: 'shares' | 'weight';
  readonly io: readonly (readonly [path: string, text: string])[];
  readonly cpuMs: () => Promise<number | null>;
}

/** @param hurryAfterMs what an engine gets to start by itself, and the processes of a build that is ended to die */
export function makeBuildPriority(
  { atTop }: BuildGroup,
  root: string = CGROUP_ROOT,
  hurryAfterMs = HURRY_AFTER_MS,
): BuildPriority {
  const files = isV2(root) ? filesOfV2(atTop, root) : filesOfV1(atTop, root);
  let insists = false;
  let hurries = 0;
  // Of two writes at once the older could come last, and builds would insist until the next.
  const inTurn = serialize();
  const write = async (): Promise<void> => {
    const insisting = insists || hurries > 0;
    const isIdle = await writeIfThere(join(files.cpu, 'cpu.idle'), insisting ? '0' : '1');
    const { [files.weight]: weight } = insisting ? INSISTING : YIELDING;
    // An idle group has the least weight there is, and refuses another (EINVAL).
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
        apply().catch(() => undefined); // they die all the same, if later
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

/** Codes of a group that nothing was built in yet, and of one that goes away while it is read. */
const NO_GROUP = ['ENOENT', 'ENODEV'];

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (NO_GROUP.includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
