/** The command tree, and what all commands share: --json, examples, exit codes. */
import { Command, CommanderError } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { OrkestrError } from '../../protocol/errors.ts';
import type { Context } from './context.ts';
import type { Outcome } from './exit.ts';
import { addAccessCommands } from './commands/access.ts';
import { addDeployCommands } from './commands/deploy.ts';
import { addDeploymentCommands } from './commands/deployments.ts';
import { addEnvCommands } from './commands/env.ts';
import { addEnvironmentCommands } from './commands/environment.ts';
import { addHostCommands } from './commands/hosts.ts';
import { addLogsCommand } from './commands/logs.ts';
import { addProjectCommands } from './commands/project.ts';
import { addNotifyCommands } from './commands/notify.ts';
import { addRegistryCommands } from './commands/registry.ts';
import { addSessionCommands } from './commands/session.ts';
import { addTokenCommands } from './commands/tokens.ts';
import { addUpgradeCommands } from './commands/upgrades.ts';

export function buildProgram(context: Context, outcome: Outcome): Command {
  const program = new Command('orkestr')
    .description('Git push to a running container on your own server.')
    .version(manifest.version)
    .helpCommand('help [command]', 'display help for command')
    // In `hosts upgrade --version 1.4.0`, --version must not print the version of this program.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      [
        '',
        'Exit codes: 0 done · 1 refused or failed · 2 wrong usage · 3 cancelled or skipped · 4 hub not reachable · 130 Ctrl-C',
        'Environment: ORKESTR_URL and ORKESTR_TOKEN override the stored login; https_proxy, http_proxy and no_proxy count as for curl.',
        '',
        'First steps:',
        '  orkestr login https://hub.example.com',
        '  orkestr project create shop',
        '  git remote add orkestr https://hub.example.com/git/shop.git',
        '  git push orkestr HEAD:main',
        '',
        'When something is wrong:',
        '  orkestr logs                 # why the last deployment failed, and what to do',
        '  orkestr logs --app           # the output of the running app',
        '  orkestr rollback             # back to the previous release',
        '  orkestr hosts list           # the state of the servers',
      ].join('\n'),
    );
  const groups = [
    addSessionCommands,
    addProjectCommands,
    addEnvironmentCommands,
    addEnvCommands,
    addRegistryCommands,
    addAccessCommands,
    addDeployCommands,
    addDeploymentCommands,
    addLogsCommand,
    addHostCommands,
    addUpgradeCommands,
    addTokenCommands,
    addNotifyCommands,
  ];
  for (const add of groups) add(program, context, outcome);
  forEachCommand(program, (command) =>
    command
      .exitOverride((error) => {
        throw error.code === 'commander.help' && error.exitCode !== 0 ? commandMissing(command) : error;
      })
      .configureOutput(quietErrors(context)),
  );
  return program;
}

/** Converts commander's errors to ours, so that --json applies to them too. Requested help is not an error. */
export function usageError(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (error.exitCode === 0) return undefined;
  const evidence = error.code === 'commander.unknownCommand' ? ['orkestr help: all commands'] : [];
  return new OrkestrError('ORK_INVALID', error.message.replace(/^error: /, ''), { evidence });
}

/** A group was called without one of its commands. */
function commandMissing(group: Command): OrkestrError {
  const names = group.commands.map((command) => command.name());
  const words = group.parent ? `${group.parent.name()} ${group.name()}` : group.name();
  return new OrkestrError('ORK_INVALID', `"${words}" needs a command; \`${words} --help\` describes each.`, {
    evidence: [names.join(', ')],
  });
}

const quietErrors = (context: Context) => ({
  writeOut: (text: string) => void context.terminal.stdout.write(text),
  writeErr: () => undefined, // main.ts reports the error, once
});

function forEachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) forEachCommand(child, visit);
}
