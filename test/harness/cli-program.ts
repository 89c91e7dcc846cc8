/** For tests: the CLI as users run it, in one file, which `npm test` makes once for all of them. */
import { ourProgram } from '../../installer/stack/stack.ts';

/** Environment variable: the file that the run of `npm test` has made. */
export const CLI_OF_RUN = 'ORK_TEST_CLI';

/**
 * Returns the Node.js and the file of the CLI. A test that is run alone starts it from its sources: that takes twice
 * the time, but less than making the file.
 */
export const cliProgram = (): [string, string] => {
  const made = process.env[CLI_OF_RUN];
  return made === undefined ? ourProgram('hub/cli/main.ts') : [process.execPath, made];
};
