/** `orkestr-agent doctor`: checks the host, repairs if told to, checks again, and packs the results for support. */
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
  /** Names of the checks to run; empty: all. */
  readonly only: readonly string[];
  readonly json: boolean;
  readonly fix: boolean;
  /** With `fix`: also repair what requires removing something. */
  readonly yes: boolean;
  /** Deadline of each check, ms. */
  readonly deadlineMs: number;
  /** Path for a support archive; null: none. */
  readonly bundle: string | null;
}

interface DoctorParts {
  /** Each call returns a fresh subject, which caches its answers. `answerMs`: how long to wait for each part. */
  readonly subject: (answerMs: number) => Subject;
  readonly out: Writable;
  /** The host's status, for the archive. */
  readonly status: () => Promise<StatusReport>;
}

const ANSWER_SHARE = 0.75;

/**
 * @returns the exit code: 0 all is well, 1 warnings, 2 failures
 * @throws OrkestrError ORK_INVALID (an unknown check, options that do not go together), ORK_CONFLICT (the archive
 *   exists)
 */
export async function doctor(
  parts: DoctorParts,
  { only, json, fix, yes, deadlineMs, bundle }: DoctorRequest,
): Promise<number> {
  const checks = checksOf(only);
  if (yes && !fix) throw new OrkestrError('ORK_INVALID', '--yes needs --fix: it does nothing alone.');
  // Shorter than the check's own deadline: a part that does not respond is then reported as such, not as a slow check.
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
