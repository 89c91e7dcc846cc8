/**
 * The control groups of builds:
 *
 *     orkestr-build-…          all builds of this host: below every app (priority.ts)
 *     ├── a                    a slot: cpu quota, for all that is done for its build
 *     │   ├── engine           dockerd and containerd: COPY, export, unpacking; memory of its own
 *     │   └── run              parent of the containers of RUN: memory with swap, processes
 *     └── b …
 *
 * Where systemd runs the host they are below `orkestr.slice/orkestr-build.slice/orkestr-build.service` (docs/adr/0025).
 *
 * The engine-wide parent binds BuildKit, a build's own `-m` does not (measured). The engine stands beside what it runs,
 * because a kernel that is out of memory picks the largest process of the group: it would be the engine as soon as not.
 */
import type { BuildLimits } from '../../../protocol/job.ts';
import { CGROUP_ROOT, isV2 } from './group.ts';
import { makeV1 } from './v1.ts';
import { makeV2 } from './v2.ts';

/** Of what a build has taken since `prepare`. */
export interface CgroupReading {
  /** Processes in the containers of RUN now. */
  readonly processes: number;
  /** New processes that the kernel refused because of the limit. Those of a RUN that ended may not count any more. */
  readonly refusedForks: number;
  /** Processes of RUN that the kernel killed for want of memory. */
  readonly oomKills: number;
  /** Those of them for which no limit was met: the host itself had no memory left. */
  readonly hostOomKills: number;
  /** Processes of the engine that it killed so. */
  readonly engineOomKills: number;
  /** Memory of the engine that is no cache, bytes. */
  readonly engineBytes: number;
}

export interface BuildCgroup {
  /** What the engine gets as cgroup parent. */
  readonly parent: string;
  /** Makes the groups when absent, begins their counters anew and sets the limits of the next build. */
  prepare(limits: BuildLimits): Promise<void>;
  /** Puts a process of the engine into its group; what it starts is born there. */
  addEngine(pid: number): void;
  /** Whether it is there. One that an older agent started elsewhere is under no limit of ours. */
  hasEngine(pid: number): Promise<boolean>;
  /** Kills every process of RUN. A fork bomb cannot outrun it: the group takes no new process meanwhile. */
  killAll(): Promise<void>;
  read(): Promise<CgroupReading>;
  /** Most memory that RUN had at once since `prepare`, bytes; null where the kernel does not tell, and when it had none. */
  peakMemory(): Promise<number | null>;
  /** Kills what is in them and takes the groups away. */
  remove(): Promise<void>;
}

/** @param name of the slot's group, "orkestr-build-…/a"; `root` is another folder in tests only */
export function makeBuildCgroup(name: string, root: string = CGROUP_ROOT): BuildCgroup {
  return isV2(root) ? makeV2(name, root) : makeV1(name, root);
}
