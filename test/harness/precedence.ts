/** Scheduling priority on a machine with few cores that runs what would be several machines in production. */
import { mustRun } from '../../installer/stack/run-program.ts';

/** Lets all threads of the process, and those they start, preempt ordinary ones (SCHED_RR of sched(7)). Needs root. */
export async function takePrecedence(pid: number): Promise<void> {
  await mustRun('chrt', ['chrt', '--all-tasks', '--rr', '--pid', '1', String(pid)]);
}
