/** Who comes first on a machine of few cores, which holds what would be several machines in life. */
import { mustRun } from '../../installer/stack/run-program.ts';

/** Threads of the process, and those that they start, preempt all ordinary ones (SCHED_RR of sched(7)). Needs root. */
export async function takePrecedence(pid: number): Promise<void> {
  await mustRun('chrt', ['chrt', '--all-tasks', '--rr', '--pid', '1', String(pid)]);
}
