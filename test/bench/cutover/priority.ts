/**
 * On a few cores the proxy shares its processor with all its clients and apps, as no proxy does. So it comes before them,
 * and so does the process that flips it and holds the clock: what is measured is theirs, not the scheduler's. The load
 * keeps its own priority, and what it has to wait for counts in the latencies that it tells.
 */
import { mustRun } from '../../../installer/stack/run-program.ts';

/** Threads of the process, and those that they start, preempt all ordinary ones (SCHED_RR of sched(7)). Needs root. */
export async function takePrecedence(pid: number): Promise<void> {
  await mustRun('Giving the proxy precedence', ['chrt', '--all-tasks', '--rr', '--pid', '1', String(pid)]);
}
