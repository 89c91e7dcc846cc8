/** `orkestr-agent logs`: the step logs of a deployment from this host's files, or what an app writes; no agent and no hub needed. */
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { Uuid } from '../../../protocol/ids.ts';
import { STEP_NAMES, StepName } from '../../../protocol/steps.ts';
import type { AppLogFlags } from '../../app-log/command.ts';
import { agoOf, linesOf } from '../../app-log/flags.ts';
import { appLogsOf, logFolder } from '../../compose.ts';
import { readConfig } from '../../config.ts';
import type { Config } from '../../config.ts';
import { logPath } from '../../deployment/log.ts';
import { buildHost } from '../../host.ts';
import { requireIdentity, scopeOf } from '../../identity.ts';

const LOGS_HELP = `
Examples:
  $ orkestr-agent logs                                     # why the newest deployment failed
  $ orkestr-agent logs --app shop/production --follow      # what the app writes
  $ orkestr-agent logs --app shop/production --since 10m

Neither hub nor agent is needed: deployments' logs are files here, and Docker keeps the last 30 MB of each app's.`;

/** Adds `logs`. */
export function addLogsCommand(cli: Command): void {
  cli
    .command('logs [deployment]')
    .description('step logs of a deployment, the newest by default; or what an app writes')
    .option('--step <step>', 'of one step only')
    .option('--app <project/environment>', 'what this app writes')
    .option('--tail <lines>', 'with --app: newest lines from before (default: 100; with --since all)', linesOf)
    .option('--since <time>', 'with --app: not older than this, such as 30s, 10m, 2h or 1d', agoOf)
    .option('-t, --timestamps', 'with --app: when each line was written, in front of it, UTC')
    .option('-f, --follow', 'with --app: go on until Ctrl-C, also across deployments')
    .addHelpText('after', LOGS_HELP)
    .action(logs);
}

type LogFlags = { readonly step?: string } & Partial<AppLogFlags>;

async function logs(deploymentId: string | undefined, { step, app, ...flags }: LogFlags): Promise<void> {
  const config = readConfig();
  if (app === undefined) {
    const [option] = Object.keys(flags);
    if (option !== undefined) throw new OrkestrError('ORK_INVALID', `--${option} is for --app: what an app writes.`);
    return printLogs({ folder: logFolder(config), deploymentId, step }, process.stdout);
  }
  if (deploymentId !== undefined || step !== undefined) {
    throw new OrkestrError('ORK_INVALID', 'Either the log of a deployment, or --app: what an app writes.');
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
  if (serving === null) throw new OrkestrError('ORK_NOT_FOUND', 'Nothing was ever deployed on this host.');
  // `| head` closes our stdout: then there is nobody left to write to.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const over = new AbortController();
  process.once('SIGINT', () => {
    process.exitCode = 130;
    over.abort();
  });
  const { engine, ports } = buildHost(config, scopeOf(hostId));
  try {
    const appLogs = appLogsOf(engine, ports, serving);
    await printAppLog({ serving, appLogs, out: process.stdout, signal: over.signal }, flags);
  } finally {
    serving.close();
  }
}

interface LogsRequest {
  readonly folder: string;
  /** Absent: the one that was written last. */
  readonly deploymentId?: string | undefined;
  /** Absent: all steps in their order, each under a heading. */
  readonly step?: string | undefined;
}

/** @throws OrkestrError ORK_NOT_FOUND, ORK_INVALID */
async function printLogs(request: LogsRequest, out: Writable): Promise<void> {
  const deploymentId = request.deploymentId ?? newest(request.folder);
  if (!Uuid.safeParse(deploymentId).success) throw new OrkestrError('ORK_INVALID', 'A deployment id is a UUID.');
  const paths = stepsOf(request.step).map((step) => ({ step, path: logPath(request.folder, deploymentId, step) }));
  const present = paths.filter(({ path }) => existsSync(path));
  if (present.length === 0) throw new OrkestrError('ORK_NOT_FOUND', `There is no such log of ${deploymentId} here.`);
  for (const { step, path } of present) {
    if (request.step === undefined) out.write(`==> ${step}\n`);
    await pipeline(createReadStream(path), out, { end: false });
  }
}

function stepsOf(step: string | undefined): readonly StepName[] {
  if (step === undefined) return STEP_NAMES;
  const known = StepName.safeParse(step);
  if (known.success) return [known.data];
  throw new OrkestrError('ORK_INVALID', `There is no step ${step}. The steps: ${STEP_NAMES.join(', ')}.`);
}

function newest(folder: string): string {
  const ids = existsSync(folder) ? readdirSync(folder).filter((name) => Uuid.safeParse(name).success) : [];
  const byTime = ids
    .map((id) => ({ id, at: statSync(join(folder, id)).mtimeMs }))
    .sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
  if (!byTime[0]) throw new OrkestrError('ORK_NOT_FOUND', 'There are no deployment logs on this host.');
  return byTime[0].id;
}
