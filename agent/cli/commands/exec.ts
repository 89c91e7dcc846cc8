/** `orkestr-agent exec`: a command in the live container of an environment. Needs Docker Engine, but no agent and no hub. */
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { readConfig } from '../../config.ts';
import type { Config } from '../../config.ts';
import { names } from '../../deployment/step.ts';
import type { AttachedCommand } from '../../docker/attached-command.ts';
import { buildHost } from '../../host.ts';
import { requireIdentity, scopeOf } from '../../identity/identity.ts';

const EXEC_HELP = `
Examples:
  $ orkestr-agent exec shop/production                              # a shell, if the image has one
  $ orkestr-agent exec shop/production -- bin/rails console
  $ orkestr-agent exec shop/production -- python manage.py migrate
  $ orkestr-agent exec shop/production -- node report.js >report.csv
  $ orkestr-agent exec shop/production -- psql <dump.sql            # stdin is passed on

The command runs as the app's user, with its variables, in its working directory and within its limits. It is not run by a shell: for
pipes and variables, use sh -c '...'. It gets a terminal if stdin and stdout are one. The exit code is that of the command.

The command belongs to the container that is live when it starts. If a deployment replaces that container, the command is killed with
it, once the old version has drained and stopped. Long jobs should be able to start again.`;

/** Signals that a terminal, a service manager or a user sends to end a program. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Adds `exec`. */
export function addExecCommand(cli: Command): void {
  cli
    .command('exec <project/environment> [command...]')
    .description('run a command in the live container of an app (default: sh)')
    // What follows the app belongs to the command, also without --.
    .passThroughOptions()
    .addHelpText('after', EXEC_HELP)
    .action((app: string, words: readonly string[]) => exec(app, commandOf(words)));
}

/** The command of the words behind the app: without a leading --, and a shell if there are none. */
export function commandOf(words: readonly string[]): readonly string[] {
  const argv = words[0] === '--' ? words.slice(1) : words;
  return argv.length === 0 ? ['sh'] : argv;
}

async function exec(app: string, argv: readonly string[]): Promise<void> {
  const config = readConfig();
  const container = names.container(await liveDeployment(config, app));
  const { startAttached } = await import('../../docker/attached-command.ts');
  const { engine } = buildHost(config, scopeOf(requireIdentity(config.stateFolder).hostId), null);
  const command = await startAttached(engine, container, argv, process);
  forwardSignals(command);
  const { exitCode, remark } = await command.end;
  if (remark !== null) process.stderr.write(`orkestr-agent: ${remark}\n`);
  process.exitCode = exitCode;
}

/** @throws OrkestrError ORK_NOT_FOUND */
async function liveDeployment(config: Config, app: string): Promise<string> {
  const [{ openServing }, { liveEnvironment }] = await Promise.all([
    import('../../journal/serving.ts'),
    import('../../status/live-environment.ts'),
  ]);
  const serving = await openServing(config.stateFolder);
  if (serving === null) throw new OrkestrError('ORK_NOT_FOUND', 'Nothing has been deployed on this host yet.');
  try {
    const live = serving.live(liveEnvironment(serving, app));
    if (live !== null) return live.deploymentId;
    throw new OrkestrError('ORK_NOT_FOUND', `${app} has just been removed from this host.`);
  } finally {
    serving.close();
  }
}

/** The engine does not end a command when its caller ends. */
function forwardSignals(command: AttachedCommand): void {
  for (const name of SIGNALS) {
    process.on(name, () => {
      command.signal(name).catch((error: unknown) => {
        process.stderr.write(`orkestr-agent: ${name} did not reach the command: ${String(error)}\n`);
      });
    });
  }
}
