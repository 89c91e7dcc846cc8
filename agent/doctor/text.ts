/** Formats a doctor's report for a terminal: for each problem what is wrong, then the evidence, then the repair. */
import type { DoctorReport, ReportedProblem } from './doctor.ts';

export function renderDoctor(report: DoctorReport): string {
  const width = Math.max(...report.checks.map(({ name }) => name.length));
  const indent = ' '.repeat(width + 11);
  const lines = report.checks.flatMap(({ name, level, summary, problems }) => [
    `${level.padEnd(7)}  ${name.padEnd(width)}  ${summary}`,
    ...problems.flatMap((problem) => linesOf(problem).map((line) => `${indent}${line}`)),
  ]);
  return `${[...lines, '', closing(report)].join('\n')}\n`;
}

function linesOf({ says, evidence, mend, fix }: ReportedProblem): string[] {
  const by = { safe: ' (or: orkestr-agent doctor --fix)', confirmed: ' (or: orkestr-agent doctor --fix --yes)' };
  return [says, ...evidence.map((line) => `| ${line}`), `mend: ${mend}${fix === null ? '' : by[fix]}`];
}

function closing({ checks, ms }: DoctorReport): string {
  const all = checks.flatMap(({ problems }) => problems);
  const failures = all.filter(({ level }) => level === 'fail').length;
  const skipped = checks.filter(({ level }) => level === 'skipped').length;
  const counts = `${failures} to mend, ${all.length - failures} to look at`;
  return `${checks.length - skipped} checks in ${ms} ms: ${all.length === 0 ? 'all is well' : counts}${skipped > 0 ? `; ${skipped} skipped` : ''}`;
}
