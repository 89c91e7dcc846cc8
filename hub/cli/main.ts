#!/usr/bin/env node
/** `orkestr`: composition root of the command line. */
import { dialPatiently } from '../../protocol/service/dialling.ts';
import { readConfig } from './config.ts';
import { makeContext } from './context.ts';
import type { Context } from './context.ts';
import { exitCodeOf, Interrupted } from './exit.ts';
import type { Outcome } from './exit.ts';
import { Output } from './output.ts';
import { buildProgram, usageError } from './program.ts';
import type { Terminal } from './terminal.ts';

const terminal: Terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };
const args = process.argv.slice(2);

// `orkestr logs | head` closes our stdout: nobody is left to write to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

dialPatiently();
// No top-level await: the release's bundle is CommonJS (docs/adr/0014).
void main(args).then((code) => {
  process.exitCode = code;
});

async function main(argv: string[]): Promise<number> {
  const outcome: Outcome = { exitCode: 0 };
  let context: Context | undefined;
  try {
    context = makeContext({
      terminal,
      config: readConfig(),
      cwd: process.cwd(),
      now: Date.now,
      onInterrupt(listener) {
        process.once('SIGINT', listener);
        return () => void process.removeListener('SIGINT', listener);
      },
    });
    await buildProgram(context, outcome).parseAsync(argv, { from: 'user' });
    return outcome.exitCode;
  } catch (thrown) {
    const error = usageError(thrown);
    if (error === undefined) return outcome.exitCode;
    if (error instanceof Interrupted) return exitCodeOf(error);
    // The options themselves may be invalid, so look for --json in the raw arguments.
    new Output(terminal, { json: argv.includes('--json'), noColor: true, hubUrl: context?.config.url }).failure(error);
    return exitCodeOf(error);
  } finally {
    await context?.close();
  }
}
