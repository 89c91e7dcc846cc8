/**
 * The contract of a doctor's check: one file each under checks/, one line in checks/index.ts. A check gathers facts (the
 * only part that touches the host) and judges them (pure). What can be wrong stands in the check as data, so that
 * docs/troubleshooting.md is made from it.
 */
import { shellWord } from '../../protocol/shell-word.ts';
import type { Mend } from './mend-text.ts';
import type { Subject } from './subject.ts';

/** skipped: what it looks at is not there or does not answer, and another check says so. */
export type Level = 'ok' | 'warn' | 'fail' | 'skipped';

/** One thing that can be wrong. `{name}` in its texts stands for a value of the finding. */
export interface ProblemKind {
  readonly level: 'warn' | 'fail';
  /** One sentence: what is wrong. */
  readonly says: string;
  /** What to do. */
  readonly mend: Mend;
  /** `safe`: `--fix` mends it. `confirmed`: `--fix --yes` does, since something is taken away. */
  readonly fix?: 'safe' | 'confirmed';
}

export interface Finding<P extends string = string> {
  readonly problem: P;
  readonly values?: Readonly<Record<string, string | number>>;
  /** Facts behind it, one line each. */
  readonly evidence?: readonly string[];
}

export interface Verdict<P extends string = string> {
  /** One line: the facts, whether good or bad. */
  readonly summary: string;
  readonly findings: readonly Finding<P>[];
}

export interface Skipped {
  readonly skipped: string;
}

interface About<P extends string> {
  /** Never renamed: support asks for it. */
  readonly name: string;
  /** One sentence: what it looks at, and why that matters. */
  readonly about: string;
  readonly problems: Readonly<Record<P, ProblemKind>>;
  /** Mends one finding whose kind has `fix`. @returns what was done */
  readonly fix?: (finding: Finding, subject: Subject) => Promise<string>;
}

interface CheckParts<Facts, P extends string> extends About<P> {
  /** Throws what keeps it from looking; the doctor's deadline is in `signal`. */
  gather(subject: Subject, signal: AbortSignal): Promise<Facts>;
  judge(facts: Facts): Verdict<NoInfer<P>> | Skipped;
}

export interface Check extends About<string> {
  run(subject: Subject, signal: AbortSignal): Promise<Verdict | Skipped>;
}

/** A check of its two halves. `judge` stays reachable for tests. */
export function defineCheck<Facts, P extends string>(
  parts: CheckParts<Facts, P>,
): Check & Pick<CheckParts<Facts, P>, 'judge'> {
  return { ...parts, run: async (subject, signal) => parts.judge(await parts.gather(subject, signal)) };
}

/** A problem's text with the values of a finding. Inside backticks they are quoted for a shell where they need it. */
export function fill(text: string, values: Finding['values'] = {}): string {
  return text
    .split('`')
    .map((part, index) =>
      part.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
        const value = values[name];
        if (value === undefined) return whole;
        return index % 2 === 1 ? shellWord(String(value)) : String(value);
      }),
    )
    .join('`');
}

/** The finding when `holds`, as a list to be spread among others. */
export const when = <const P extends string>(holds: boolean, finding: Finding<P>): Finding<P>[] =>
  holds ? [finding] : [];
