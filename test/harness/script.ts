/** How the scripts of package.json end that are no part of the product: suites, benches, the lab. */
import { toErrorReport } from '../../protocol/errors.ts';

/** Of a wrong call, as of many programs; what was tried and failed has 1. */
const WRONG_CALL = 2;

/** What the script was called with is nothing that it can do: told in a line, as the stack says nothing to who typed it. */
export class WrongCall extends Error {}

/** @returns the exit code: what `main` says, or 1 with the stack and the evidence on stderr, or 2 for a wrong call */
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

/** `parseArgs` of node:util throws errors of its own for options that it does not know. */
const isWrongCall = (error: unknown): error is Error =>
  error instanceof WrongCall ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
