/**
 * The control groups of builds:
 *
 *     orkestr-build-…          all builds of this host: yields to every app (priority.ts)
 *     ├── a                    a slot: CPU quota for everything its build does
 *     │   ├── engine           dockerd and containerd: COPY, export, unpacking; its own memory limit
 *     │   └── run              parent of RUN's containers: limits of memory with swap, and processes
 *     └── b …
 *
 * On hosts run by systemd they are below `orkestr.slice/orkestr-build.slice/orkestr-build.service` (docs/adr/0025).
 *
 * BuildKit obeys the engine-wide cgroup parent but not a build's own `-m` (measured). The engine's group is a sibling
 * of the containers': out of memory, the kernel kills the largest process of a group, which could well be the engine.
 */
import type { BuildLimits } from '../../../protocol/job.ts';
import { CGROUP_ROOT, isV2 } from './group.ts';
import { makeV1 } from './v1.ts';
import { makeV2 } from './v2.ts';

/** A build's usage since `prepare`. */
export interface CgroupReading {
  /** Processes now in RUN's containers. */
  readonly processes: number;
  /** New processes that the kernel refused due to the limit. May exclude those of a RUN that has ended. */
  readonly refusedForks: number;
  /** Processes of RUN that the kernel killed for lack of memory. */
  readonly oomKills: number;
  /** Those of them killed without reaching a limit, because the host itself was out of memory. */
  readonly hostOomKills: number;
  /** Processes of the engine killed for lack of memory. */
  readonly engineOomKills: number;
  /** Memory of the engine excluding page cache, bytes. */
  readonly engineBytes: number;
}

export interface BuildCgroup {
  /** The engine's cgroup parent. */
  readonly parent: string;
  /** Creates the groups if absent, resets their counters and sets the limits of the next build. */
  prepare(limits: BuildLimits): Promise<void>;
  /** Moves a process of the engine into its group; child processes started later inherit the group. */
  addEngine(pid: number): void;
  /** Whether it is in the group. An engine that an older agent started elsewhere is under none of our limits. */
  hasEngine(pid: number): Promise<boolean>;
  /** Kills every process of RUN. Not even a fork bomb escapes: the group accepts no new process meanwhile. */
  killAll(): Promise<void>;
  read(): Promise<CgroupReading>;
  /** RUN's peak memory since `prepare`, bytes; null if the kernel does not report it or it is zero. */
  peakMemory(): Promise<number | null>;
  /** Kills all processes in the groups and removes them. */
  remove(): Promise<void>;
}

/** @param name the slot's group, "orkestr-build-…/a"; `root` is another folder in tests only */
export function makeBuildCgroup(name: string, root: string = CGROUP_ROOT): BuildCgroup {
  return isV2(root) ? makeV2(name, root) : makeV1(name, root);
}
