/**
 * The contract of a doctor's check: one file each under checks/, one line in checks/index.ts. A check gathers facts
 * (the only part that touches the host) and judges them (pure). The possible problems are data of the check, so that
 * docs/troubleshooting.md can be generated from them.
 */
import { shellWord } from '../../protocol/shell-word.ts';
import type { Mend } from './mend-text.ts';
import type { Subject } from './subject.ts';

/** skipped: the check's subject is absent or does not respond, which another check reports. */
export type Level = 'ok' | 'warn' | 'fail' | 'skipped';

/** One possible problem. `{name}` in its texts is replaced by a value of the finding. */
export interface ProblemKind {
  readonly level: 'warn' | 'fail';
  /** One sentence: what is wrong. */
  readonly says: string;
  /** How to repair it. */
  readonly mend: Mend;
  /** `safe`: `--fix` repairs it. `confirmed`: only `--fix --yes` does, because something is removed. */
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
  /** Never rename: support asks for it by name. */
  readonly name: string;
  /** One sentence: what it checks, and why that matters. */
  readonly about: string;
  readonly problems: Readonly<Record<P, ProblemKind>>;
  /** Repairs a finding whose kind has `fix`. @returns what was done */
  readonly fix?: (finding: Finding, subject: Subject) => Promise<string>;
}

interface CheckParts<Facts, P extends string> extends About<P> {
  /** Throws if it cannot look. The doctor's deadline is in `signal`. */
  gather(subject: Subject, signal: AbortSignal): Promise<Facts>;
  judge(facts: Facts): Verdict<NoInfer<P>> | Skipped;
}

export interface Check extends About<string> {
  run(subject: Subject, signal: AbortSignal): Promise<Verdict | Skipped>;
}

/** Makes a check from its two halves. `judge` stays accessible for tests. */
export function defineCheck<Facts, P extends string>(
  parts: CheckParts<Facts, P>,
): Check & Pick<CheckParts<Facts, P>, 'judge'> {
  return { ...parts, run: async (subject, signal) => parts.judge(await parts.gather(subject, signal)) };
}

/** Inserts the values of a finding into a problem's text. Inside backticks they are quoted for a shell if necessary. */
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

/** The finding if `holds`, as a list to spread into others. */
export const when = <const P extends string>(holds: boolean, finding: Finding<P>): Finding<P>[] =>
  holds ? [finding] : [];
