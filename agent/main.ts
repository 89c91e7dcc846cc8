#!/usr/bin/env node
/** The agent process and its command line: `orkestr-agent`. */
import { toErrorReport, toProblem } from '../protocol/errors.ts';
import { safeLine } from '../protocol/safe-text.ts';
import { dialPatiently } from '../protocol/service/dialling.ts';
import { buildProgram } from './cli/program.ts';

if (import.meta.main) {
  dialPatiently();
  // No await at the top level: the release's bundle is CommonJS (docs/adr/0014).
  buildProgram()
    .parseAsync()
    .catch((error: unknown) => {
      const { title, detail, mend, evidence } = toProblem(toErrorReport(error));
      const lines = [`${title}: ${detail}`, ...evidence.map((line) => `  | ${line}`), mend, ''];
      // It may quote output of an app or a build.
      process.stderr.write(lines.map((line) => safeLine(line, false)).join('\n'));
      process.exitCode = 1;
    });
}
