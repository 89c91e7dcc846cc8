/** Mends what can be mended without asking anybody: never restarts Docker, never takes anything away unless told so. */
import { toErrorReport } from '../../protocol/errors.ts';
import type { Check, Finding } from './check.ts';
import { CHECK_MS, kindOf } from './doctor.ts';
import type { Subject } from './subject.ts';

export interface Mended {
  /** `check/problem` */
  readonly id: string;
  readonly ok: boolean;
  /** What was done, or why not. */
  readonly told: string;
}

interface FixOptions {
  readonly checks: readonly Check[];
  /** Also what takes something away. */
  readonly confirmed: boolean;
  /** For each look, ms. */
  readonly deadlineMs?: number;
}

/** One after the other, in the order of the checks; what one cannot mend does not keep the others from it. */
export async function mend(
  subject: Subject,
  { checks, confirmed, deadlineMs = CHECK_MS }: FixOptions,
): Promise<readonly Mended[]> {
  const mended: Mended[] = [];
  for (const check of checks) {
    const { fix } = check;
    if (fix === undefined) continue;
    for (const finding of await findingsOf(check, subject, deadlineMs)) {
      const kind = kindOf(check, finding.problem).fix;
      if (kind !== 'safe' && !(kind === 'confirmed' && confirmed)) continue;
      const id = `${check.name}/${finding.problem}`;
      mended.push(
        await fix(finding, subject).then(
          (told) => ({ id, ok: true, told }),
          (error: unknown) => ({ id, ok: false, told: toErrorReport(error).message }),
        ),
      );
    }
  }
  return mended;
}

async function findingsOf(check: Check, subject: Subject, deadlineMs: number): Promise<readonly Finding[]> {
  try {
    const outcome = await check.run(subject, AbortSignal.timeout(deadlineMs));
    return 'skipped' in outcome ? [] : outcome.findings;
  } catch {
    return []; // what it cannot see it cannot mend; the report says that it could not look
  }
}
