/** Exit codes of the package.json scripts that are not part of the product: suites, benches, the lab. */
import { toErrorReport } from '../../protocol/errors.ts';

/** For wrong usage, as in many programs; a run that fails has 1. */
const WRONG_CALL = 2;

/** Wrong usage of a script: reported in one line, because a stack trace is of no use to whoever typed it. */
export class WrongCall extends Error {}

/** @returns the exit code: that of `main`, or 1 with stack and evidence on stderr, or 2 for wrong usage */
export async function exitCodeOf(main: () => Promise<number>): Promise<number> {
  try {
    return await main();
  } catch (error) {
    if (isWrongCall(error)) {
      console.error(`${error.message}\nWith --help it tells what there is.`);
      return WRONG_CALL;
    }
    console.error(error instanceof Error ? error.stack : String(error));
    for (const line of toErrorReport(error).evidence) console.error(`  | ${line}`);
    return 1;
  }
}

/** `parseArgs` of node:util throws its own errors for unknown options. */
const isWrongCall = (error: unknown): error is Error =>
  error instanceof WrongCall ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
