/** Repairs what can be repaired without asking anybody. Never restarts Docker; removes something only if told to. */
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
  /** Also repair what requires removing something. */
  readonly confirmed: boolean;
  /** Deadline of each check, ms. */
  readonly deadlineMs?: number;
}

/** Runs the repairs one after the other, in the order of the checks. A failed one does not affect the others. */
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
    return []; // a check that cannot look cannot repair; the report says that it could not look
  }
}
