/** Whether a container lost a process for lack of memory. Docker's own flag only covers its first process. */
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { memoryCgroupOf, oomKills } from '../lib/cgroup.ts';
import type { Engine } from '../lib/engine.ts';
import { KILLED } from '../lib/exit-code.ts';
import { killedByLimit } from '../lib/kernel-log.ts';

/** How much later than the end of its container a busy host may report an OOM kill, seconds. */
const LATE_SECONDS = 2;

/** Whether the kernel killed a process of the container's last run, as far as Docker's own flag does not show it. */
export async function killedForMemory(engine: Engine, info: ContainerInspectInfo): Promise<boolean> {
  const { Running, Pid, ExitCode, OOMKilled, StartedAt } = info.State;
  if (Running) return cgroupHasKills(Pid);
  if (ExitCode !== KILLED || OOMKilled) return false;
  // The kernel log comes first: an engine that looks too late, when the cgroup is gone, never reports the kill.
  return killedByLimit(info.Id, Date.parse(StartedAt)) || engineReportedKill(engine, info);
}

async function cgroupHasKills(pid: number): Promise<boolean> {
  const folder = pid > 0 ? await memoryCgroupOf(pid) : null;
  return folder !== null && ((await oomKills(folder)) ?? 0) > 0;
}

/** Whether the engine reported an OOM kill in this container's last run. It keeps its last 256 events. */
async function engineReportedKill(engine: Engine, info: ContainerInspectInfo): Promise<boolean> {
  const seconds = (moment: string): number => Date.parse(moment) / 1000;
  return engine.call('events of a container', async (docker: Docker, abortSignal) => {
    const events = await docker.getEvents({
      since: Math.floor(seconds(info.State.StartedAt)),
      until: Math.ceil(seconds(info.State.FinishedAt)) + LATE_SECONDS,
      filters: { container: [info.Id], event: ['oom'] },
      abortSignal,
    });
    for await (const _event of events) return true;
    return false;
  });
}
