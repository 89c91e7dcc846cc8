/**
 * `orkestr-agent logs`: step logs of a deployment from this host's files, or an app's output. Needs no agent, no hub.
 */
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { AppLogFlags } from '../../app-log/command.ts';
import { agoOf, linesOf } from '../../app-log/flags.ts';
import { hostAppLogs } from '../../app-log/host-app-logs.ts';
import { logFolder } from '../../compose.ts';
import { readConfig } from '../../config.ts';
import type { Config } from '../../config.ts';
import { buildHost } from '../../host.ts';
import { requireIdentity, scopeOf } from '../../identity/identity.ts';
import { printStepLogs } from '../step-logs.ts';

const LOGS_HELP = `
Examples:
  $ orkestr-agent logs                                     # why the newest deployment failed
  $ orkestr-agent logs --app shop/production --follow      # the output of the app
  $ orkestr-agent logs --app shop/production --since 10m

Works without hub and agent: logs of deployments are files on this host, and Docker keeps the last 30 MB of each app's output.`;

/** Adds `logs`. */
export function addLogsCommand(cli: Command): void {
  cli
    .command('logs [deployment]')
    .description('print the step logs of a deployment (default: the newest), or the output of an app')
    .option('--step <step>', 'only this step')
    .option('--app <project/environment>', 'the output of this app')
    .option(
      '--tail <lines>',
      'with --app: number of newest lines to start with (default: 100; with --since all)',
      linesOf,
    )
    .option('--since <time>', 'with --app: only lines newer than this, such as 30s, 10m, 2h or 1d', agoOf)
    .option('-t, --timestamps', 'with --app: prefix each line with the time it was written, in UTC')
    .option('-f, --follow', 'with --app: keep printing until Ctrl-C, also across deployments')
    .addHelpText('after', LOGS_HELP)
    .action(logs);
}

type LogFlags = { readonly step?: string } & Partial<AppLogFlags>;

async function logs(deploymentId: string | undefined, { step, app, ...flags }: LogFlags): Promise<void> {
  // `| head` closes our stdout: then there is nobody left to write to.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const config = readConfig();
  if (app === undefined) {
    const [option] = Object.keys(flags);
    if (option !== undefined)
      throw new OrkestrError('ORK_INVALID', `--${option} only works with --app, the log of an app.`);
    return printStepLogs({ folder: logFolder(config), deploymentId, step }, process.stdout);
  }
  if (deploymentId !== undefined || step !== undefined) {
    throw new OrkestrError('ORK_INVALID', 'Name a deployment, or use --app for the log of an app, not both.');
  }
  return appLog(config, { app, ...flags });
}

async function appLog(config: Config, flags: AppLogFlags): Promise<void> {
  const [{ printAppLog }, { openServing }] = await Promise.all([
    import('../../app-log/command.ts'),
    import('../../journal/serving.ts'),
  ]);
  const { hostId } = requireIdentity(config.stateFolder);
  const serving = await openServing(config.stateFolder);
  if (serving === null) throw new OrkestrError('ORK_NOT_FOUND', 'Nothing has been deployed on this host yet.');
  const over = new AbortController();
  process.once('SIGINT', () => {
    process.exitCode = 130;
    over.abort();
  });
  const { engine, ports } = buildHost(config, scopeOf(hostId), null);
  try {
    const appLogs = hostAppLogs(engine, ports, serving);
    await printAppLog({ serving, appLogs, out: process.stdout, signal: over.signal }, flags);
  } finally {
    serving.close();
  }
}
