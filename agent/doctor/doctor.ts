/** Runs all checks concurrently, each within its deadline, and combines their findings. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Check, Finding, Level, ProblemKind, Skipped, Verdict } from './check.ts';
import { fill } from './check.ts';
import { mendFor } from './mend-text.ts';
import type { HasProgram } from './programs.ts';
import type { Subject } from './subject.ts';

/** Deadline of one check, ms: all of them, with the start of the process, take less than 2 s. */
export const CHECK_MS = 1200;

export interface ReportedProblem {
  /** `check/problem`: the heading in docs/troubleshooting.md. */
  readonly id: string;
  readonly level: 'warn' | 'fail';
  readonly says: string;
  readonly mend: string;
  readonly evidence: readonly string[];
  /** Whether `--fix` repairs it: alone, or with `--yes`. */
  readonly fix: 'safe' | 'confirmed' | null;
}

interface CheckReport {
  readonly name: string;
  readonly level: Level;
  readonly summary: string;
  readonly problems: readonly ReportedProblem[];
  readonly ms: number;
}

export interface DoctorReport {
  readonly level: 'ok' | 'warn' | 'fail';
  /** ISO 8601. */
  readonly at: string;
  readonly ms: number;
  readonly checks: readonly CheckReport[];
}

interface DoctorOptions {
  readonly checks: readonly Check[];
  readonly deadlineMs?: number;
}

/** Problems that every check may have when it cannot look; documented with the others. */
export const LOOKING: Readonly<Record<'slow' | 'blind', ProblemKind>> = {
  slow: {
    level: 'warn',
    says: 'The check had no result after {ms} ms.',
    mend: 'Try again. If this persists, something on the host hangs: check `dmesg | tail` and `ps -eo pid,stat,wchan,args | grep " D"`.',
  },
  blind: {
    level: 'warn',
    says: 'The check could not run: {message}',
    mend: 'Run it as root: `sudo /usr/local/bin/orkestr-agent doctor` (the PATH of sudo may lack that folder). If a program was not found, install it.',
  },
};

/** Another check reports these as its own finding. */
const REPORTED_ELSEWHERE: readonly ErrorCode[] = [
  'ORK_ENGINE_UNREACHABLE',
  'ORK_ENGINE_TIMEOUT',
  'ORK_PROXY_UNREACHABLE',
  'ORK_IDENTITY_UNREADABLE',
];

/** Never throws, and ends soon after the deadline, whatever hangs. */
export async function examine(
  subject: Subject,
  { checks, deadlineMs = CHECK_MS }: DoctorOptions,
): Promise<DoctorReport> {
  const began = subject.clock.monotonic();
  const reports = await Promise.all(checks.map((check) => examineOne(check, subject, deadlineMs)));
  return {
    level: worstOf(reports.map(({ level }) => level)),
    at: new Date(subject.clock.now()).toISOString(),
    ms: Math.round(subject.clock.monotonic() - began),
    checks: reports,
  };
}

/** Exit code of `orkestr-agent doctor`. */
export const exitCode = (level: DoctorReport['level']): number => ({ ok: 0, warn: 1, fail: 2 })[level];

async function examineOne(check: Check, subject: Subject, deadlineMs: number): Promise<CheckReport> {
  const began = subject.clock.monotonic();
  const outcome = await inTime(check, subject, deadlineMs);
  const ms = Math.round(subject.clock.monotonic() - began);
  const { name } = check;
  if ('skipped' in outcome) return { name, level: 'skipped', summary: outcome.skipped, problems: [], ms };
  const problems = outcome.findings.map((finding) => report(check, finding, subject.has));
  return { name, level: worstOf(problems.map(({ level }) => level)), summary: outcome.summary, problems, ms };
}

async function inTime(check: Check, subject: Subject, deadlineMs: number): Promise<Verdict | Skipped> {
  const late = Promise.withResolvers<Verdict>();
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    late.resolve({ summary: 'no result', findings: [{ problem: 'slow', values: { ms: deadlineMs } }] });
    deadline.abort();
  }, deadlineMs);
  try {
    return await Promise.race([check.run(subject, deadline.signal), late.promise]);
  } catch (error) {
    if (error instanceof OrkestrError && REPORTED_ELSEWHERE.includes(error.code)) return { skipped: error.message };
    // A check that fails to run reports that as its finding.
    const message = error instanceof Error ? error.message : String(error);
    return { summary: 'could not run', findings: [{ problem: 'blind', values: { message } }] };
  } finally {
    clearTimeout(timer);
  }
}

/** @throws Error if the check has no such problem, which is a bug in the check */
export function kindOf(check: Check, problem: string): ProblemKind {
  const kind = check.problems[problem] ?? (LOOKING as Readonly<Record<string, ProblemKind>>)[problem];
  if (kind === undefined) throw new Error(`the check ${check.name} has no problem called ${problem}`);
  return kind;
}

function report(check: Check, { problem, values, evidence = [] }: Finding, has: HasProgram): ReportedProblem {
  const { level, says, mend, fix } = kindOf(check, problem);
  return {
    id: `${check.name}/${problem}`,
    level,
    says: fill(says, values),
    mend: fill(mendFor(mend, has), values),
    evidence,
    fix: fix ?? null,
  };
}

const RANK: Readonly<Record<Level, number>> = { skipped: 0, ok: 0, warn: 1, fail: 2 };

const worstOf = (levels: readonly Level[]): 'ok' | 'warn' | 'fail' =>
  (['ok', 'warn', 'fail'] as const)[Math.max(0, ...levels.map((level) => RANK[level]))] ?? 'ok';
