/** `orkestr-agent doctor`: look, mend when told so, look again, and pack it up for somebody else to look at. */
import type { Writable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import type { StatusReport } from '../local-api/status-report.ts';
import { writeBundle } from './bundle/bundle.ts';
import type { Check } from './check.ts';
import { CHECKS } from './checks/index.ts';
import { examine, exitCode } from './doctor.ts';
import type { DoctorReport } from './doctor.ts';
import { mend } from './fix.ts';
import type { Mended } from './fix.ts';
import type { Subject } from './subject.ts';
import { renderDoctor } from './text.ts';

interface DoctorRequest {
  /** Names of the checks that are asked; empty: all. */
  readonly only: readonly string[];
  readonly json: boolean;
  readonly fix: boolean;
  /** With `fix`: also what takes something away. */
  readonly yes: boolean;
  /** For each check, ms. */
  readonly deadlineMs: number;
  /** Where a support archive is to be written; null: none. */
  readonly bundle: string | null;
}

interface DoctorParts {
  /** Looks anew with every call: what was asked once is not asked again within one. `answerMs`: for what may not answer. */
  readonly subject: (answerMs: number) => Subject;
  readonly out: Writable;
  /** The host's status, for the archive. */
  readonly status: () => Promise<StatusReport>;
}

const ANSWER_SHARE = 0.75;

/**
 * @returns the exit code: 0 all is well, 1 something to look at, 2 something to mend
 * @throws OrkestrError ORK_INVALID (a check that there is not, options that do not go together), ORK_CONFLICT (the archive is there already)
 */
export async function doctor(
  parts: DoctorParts,
  { only, json, fix, yes, deadlineMs, bundle }: DoctorRequest,
): Promise<number> {
  const checks = checksOf(only);
  if (yes && !fix) throw new OrkestrError('ORK_INVALID', '--yes needs --fix: it does nothing alone.');
  // Shorter than the check's own deadline: what does not answer is then told as such, and not as a slow check.
  const look = (): Subject => parts.subject(deadlineMs * ANSWER_SHARE);
  const mended = fix ? await mend(look(), { checks, confirmed: yes, deadlineMs }) : null;
  const report = await examine(look(), { checks, deadlineMs });
  if (bundle !== null) {
    await writeBundle(bundle, { subject: look(), doctor: report, status: await parts.status() });
  }
  parts.out.write(json ? `${JSON.stringify({ ...report, ...(mended && { mended }) })}\n` : render(report, mended));
  if (bundle !== null && !json) parts.out.write(`Support archive: ${bundle}. Read it before you share it.\n`);
  return exitCode(report.level);
}

function checksOf(only: readonly string[]): readonly Check[] {
  const unknown = only.find((name) => CHECKS.every((check) => check.name !== name));
  if (unknown === undefined) return only.length === 0 ? CHECKS : CHECKS.filter(({ name }) => only.includes(name));
  const names = CHECKS.map(({ name }) => name).join(', ');
  throw new OrkestrError('ORK_INVALID', `There is no check ${unknown}. Available checks: ${names}.`);
}

function render(report: DoctorReport, mended: readonly Mended[] | null): string {
  if (mended === null) return renderDoctor(report);
  const lines = mended.map(({ id, ok, told }) => `${ok ? 'mended' : 'FAILED'}  ${id}: ${told}\n`);
  return `${lines.join('') || 'nothing that can be fixed automatically\n'}\n${renderDoctor(report)}`;
}
