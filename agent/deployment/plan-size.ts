/**
 * Size limits of a build plan. Its texts come from files of up to 1 MiB, and it travels in frames of that size: to the
 * hub, and back with a rollback.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildPlan } from '../../protocol/steps.ts';
import { cutText } from '../lib/cut.ts';

/** Size as JSON, bytes. */
const MAX_PLAN_BYTES = 262_144;
/** Limits of the parts that only people read: characters per line, and number of lines. */
const MAX_LINE = 500;
const MAX_LINES = 100;

/**
 * The plan, with its evidence and warnings cut to what a person reads.
 * @throws OrkestrError ORK_MANIFEST_INVALID if it is too large even so
 */
export function boundedPlan(plan: BuildPlan): BuildPlan {
  const bounded: BuildPlan = {
    ...plan,
    evidence: plan.evidence
      .slice(0, MAX_LINES)
      .map(({ subject, value, from }) => ({ subject, value: cut(value), from: cut(from) })),
    warnings: plan.warnings.slice(0, MAX_LINES).map(cut),
  };
  if (bytesOf(bounded) <= MAX_PLAN_BYTES) return bounded;
  const [what, bytes] = largestPart(bounded);
  throw new OrkestrError(
    'ORK_MANIFEST_INVALID',
    `${what} has ${bytes} bytes, and a build plan holds at most ${MAX_PLAN_BYTES} in all: move long commands into a script in the repository.`,
  );
}

/** A generated Dockerfile repeats the commands: naming it would not help. */
function largestPart(plan: BuildPlan): readonly [what: string, bytes: number] {
  const { installCommand, buildCommand, startCommand, dockerfile, files } = plan;
  const parts: readonly (readonly [string, string | undefined])[] = [
    ['The install command', installCommand],
    ['The build command', buildCommand],
    ['The start command', startCommand],
    ...files.map(({ path, text }) => [path, text] as const),
    ...(dockerfile.origin === 'generated' ? [] : [[dockerfile.path, dockerfile.text] as const]),
  ];
  const sized = parts.map(([what, text]) => [what, text === undefined ? 0 : bytesOf(text)] as const);
  return sized.reduce((largest, part) => (part[1] > largest[1] ? part : largest));
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

const cut = (line: string): string => cutText(line, MAX_LINE);
