/** What running processes cost, exactly: from the scheduler's accounting, not from its ticks. */
import { readdirSync, readFileSync } from 'node:fs';

/** CPU time of all threads of a process and its descendants, ns. */
export function cpuNanoseconds(ofPid: number): number {
  return sum(processTree(ofPid).flatMap((pid) => threadsOf(pid).map((tid) => runNanoseconds(pid, tid))));
}

function processTree(pid: number): number[] {
  const children = threadsOf(pid).flatMap((tid) =>
    readFileSync(`/proc/${pid}/task/${tid}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
}

const threadsOf = (pid: number): string[] => readdirSync(`/proc/${pid}/task`);

/** Documentation/scheduler/sched-stats.rst of Linux: the first figure is the time spent on the CPU, ns. */
function runNanoseconds(pid: number, tid: string): number {
  return Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]);
}

/** Resident sets of a process and its descendants, bytes. */
export const residentBytes = (ofPid: number): number => sum(processTree(ofPid).map(residentOf));

function residentOf(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
