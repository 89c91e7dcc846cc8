/** Building blocks of a command: its options, its examples, and its connection to the terminal. */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import type { Outcome } from './exit.ts';
import type { Output } from './output.ts';

/** Adds a group of commands to the program. */
export type AddCommands = (program: Command, context: Context, outcome: Outcome) => void;

/** A leaf command: `signature` in commander's syntax, e.g. `create <name>`. Each one has --json and examples. */
export function leaf(parent: Command, signature: string, description: string, examples: string[]): Command {
  return parent
    .command(signature)
    .description(description)
    .option('--json', 'print JSON and nothing else')
    .addHelpText('after', ['', 'Examples:', ...examples.map((example) => `  ${example}`)].join('\n'));
}

/** A group of commands, e.g. `project`. */
export const group = (parent: Command, name: string, description: string): Command =>
  parent.command(name).description(description).helpCommand(false);

/** `--project` and `--environment`, for commands about one environment. */
export const withPlace = (command: Command): Command =>
  command
    .option('-p, --project <name>', "project (default: that of this folder's git remote `orkestr`)")
    .option('-e, --environment <name>', 'environment', 'production');

/** Collects an option that may be repeated. */
export const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value];

/** Runs `work` as the command's action; its result, if any, is the exit code. */
// oxlint-disable-next-line no-unnecessary-type-parameters -- commander hands options out untyped: their shape is stated here, once
export function action<O extends { json?: boolean }>(
  command: Command,
  context: Context,
  outcome: Outcome,
  work: (output: Output, options: O, args: string[]) => Promise<number | void>,
): void {
  command.action(async () => {
    const options = command.opts<O>();
    const code = await work(context.output(options.json), options, command.processedArgs.flat() as string[]);
    if (code !== undefined) outcome.exitCode = code;
  });
}
