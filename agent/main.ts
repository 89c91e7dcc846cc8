#!/usr/bin/env node
/** The agent process and its command line: `orkestr-agent`. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { OrkestrError, toErrorReport, toProblem } from '../protocol/errors.ts';
import { tidyAtFirstRest } from '../protocol/service/first-rest.ts';
import { isInstalled } from '../protocol/service/installation.ts';
import { makeLogger } from '../protocol/service/logger.ts';
import { onShutdown } from '../protocol/service/shutdown.ts';
import { makeSupervisor } from '../protocol/service/systemd.ts';
import { printPlan } from './analyze.ts';
import type { AnalyzeOptions } from './analyze.ts';
import type { AppLogFlags } from './app-log/command.ts';
import { agoOf, linesOf } from './app-log/flags.ts';
import { CHOICES } from './base-images/choose.ts';
import { appLogsOf, buildAgent, buildHost, logFolder, requireIdentity, upgradeParts, VERSION } from './compose.ts';
import { readConfig } from './config.ts';
import type { Config } from './config.ts';
import { makeEngine } from './docker/engine.ts';
import { CHECK_MS } from './doctor/doctor.ts';
import { makeFirewall } from './firewall/firewall.ts';
import {
  ANALYZE_HELP,
  BASE_IMAGES_HELP,
  DOCTOR_HELP,
  FIREWALL_HELP,
  HELP,
  HUB_HELP,
  LEAVE_HELP,
  LOGS_HELP,
  ROUTES_HELP,
  TRIAL_HELP,
  UNINSTALL_HELP,
  UPGRADE_HELP,
} from './help.ts';
import { joinHub, localIdentity, scopeOf } from './identity.ts';
import { systemClock } from './lib/clock.ts';
import { exec } from './lib/exec.ts';
import { printLogs } from './logs.ts';
import { makeProxyClient } from './proxy-client/edge-proxy.ts';
import { readJob, runJob } from './run-job.ts';
import { checkAll, exitCode, renderStatus } from './status/index.ts';
import type { StatusReport } from './status/index.ts';
import { showRoutes } from './routes/watch-routes.ts';
import { askAgent, askNames } from './status/local-api.ts';
import type { UninstallOptions } from './uninstall/command.ts';
import { upgradeHost } from './upgrade/command.ts';
import type { UpgradeFlags } from './upgrade/command.ts';
import { layoutAt } from './upgrade/layout.ts';
import { lastUpgrade } from './upgrade/record.ts';
import { renderTrial, runTrial } from './upgrade/trial.ts';

export { buildAgent } from './compose.ts';

/** What is imported where it is used is of commands that somebody types: an agent that serves has no use for it. */

/** From the first signal to a hard end, ms. */
const SHUTDOWN_MS = 20_000;

async function serve(): Promise<void> {
  const config = readConfig();
  const log = makeLogger('agent', config.logLevel);
  const supervisor = makeSupervisor(config.supervisor, log);
  const agent = await buildAgent(config, requireIdentity(config), log);
  // Pings only while the event loop turns and the journal answers.
  const ping = (): void => {
    try {
      agent.proveAlive();
      supervisor.watchdog();
    } catch (error) {
      log.error({ err: error }, 'the journal does not answer');
    }
  };
  const watchdog = supervisor.watchdogMs === null ? undefined : setInterval(ping, supervisor.watchdogMs);
  onShutdown(log, SHUTDOWN_MS, async () => {
    supervisor.stopping();
    clearInterval(watchdog);
    await agent.stop();
  });
  await agent.start();
  log.info({ hostId: agent.identity.hostId, socket: config.agentSocket, pid: process.pid }, 'ready');
  supervisor.ready('ready');
  tidyAtFirstRest();
}

async function enrolHost({ hub, token, name }: { hub: string; token: string; name: string }): Promise<void> {
  const { stateFolder } = readConfig();
  // From stdin it stands in no process list.
  const joinToken = token === '-' ? readFileSync(process.stdin.fd, 'utf8').trim() : token;
  const enrolment = { hubUrl: hub, joinToken, name, now: systemClock.now() };
  const { identity, joined } = await joinHub(stateFolder, enrolment);
  process.stdout.write(
    `${joined ? 'Joined' : 'Already joined'} ${hub} as ${identity.name} (host ${identity.hostId}).\n`,
  );
}

async function status({ json }: { json?: true }): Promise<void> {
  const report = await hostReport(readConfig());
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : renderStatus(report));
  process.exitCode = exitCode(report.level);
}

interface DoctorFlags {
  readonly json?: true;
  readonly fix?: true;
  readonly yes?: true;
  readonly bundle?: string;
  readonly wait: number;
}

async function examineHost({ json, fix, yes, bundle, wait }: DoctorFlags): Promise<void> {
  const config = readConfig();
  const [{ doctor }, { makeSubject }] = await Promise.all([
    import('./doctor/command.ts'),
    import('./doctor/subject.ts'),
  ]);
  const code = await doctor(
    {
      subject: (answerMs) => makeSubject({ config, clock: systemClock, exec, answerMs }),
      out: process.stdout,
      status: () => hostReport(config),
    },
    {
      json: json === true,
      fix: fix === true,
      yes: yes === true,
      deadlineMs: wait * 1000,
      bundle: bundle ?? null,
    },
  );
  // What hangs is left hanging: a look at a dead file system would hold this process, too.
  process.stdout.write('', () => process.exit(code));
}

/** As the agent tells it, or looked at without one. */
async function hostReport(config: Config): Promise<StatusReport> {
  const answer = await askAgent(config.agentSocket);
  return typeof answer === 'string' ? lookWithoutAgent(config, answer === 'silent') : answer;
}

const lookWithoutAgent = (config: Config, silent: boolean): Promise<StatusReport> => {
  const { dockerSocket, stateFolder, sandboxFolder, proxySocket } = config;
  const proxy = makeProxyClient(proxySocket);
  return checkAll({
    dockerSocket,
    stateFolder,
    sandboxFolder,
    proxy,
    clock: systemClock,
    agent: null,
    silent,
    lastUpgrade: lastUpgrade(layoutAt().record),
  });
};

async function routes({ json, once }: { json?: true; once?: true }): Promise<void> {
  const { proxySocket, agentSocket } = readConfig();
  const over = new AbortController();
  process.once('SIGINT', () => over.abort());
  const parts = {
    proxy: makeProxyClient(proxySocket),
    names: () => askNames(agentSocket),
    out: process.stdout,
    monotonic: () => systemClock.monotonic(),
  };
  await showRoutes(parts, { json: json === true, once: once === true, signal: over.signal });
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
  const [{ printAppLog }, { openServing }] = await Promise.all([
    import('./app-log/command.ts'),
    import('./journal/serving.ts'),
  ]);
  const { hostId } = requireIdentity(config);
  const serving = await openServing(config.stateFolder);
  if (serving === null) throw new OrkestrError('ORK_NOT_FOUND', 'Nothing was ever deployed on this host.');
  // `| head` closes our stdout: then there is nobody left to write to.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const over = new AbortController();
  process.once('SIGINT', () => {
    process.exitCode = 130;
    over.abort();
  });
  const { engine, ports } = buildHost(config, hostId);
  try {
    const appLogs = appLogsOf(engine, ports, serving);
    await printAppLog({ serving, appLogs, out: process.stdout, signal: over.signal }, { app, ...flags });
  } finally {
    serving.close();
  }
}

async function runFile(path: string): Promise<void> {
  const config = readConfig();
  const identity = localIdentity(config.stateFolder, systemClock.now());
  if (identity.hub !== null) {
    throw new OrkestrError('ORK_CONFLICT', `This host belongs to the hub ${identity.hub.url}: deploy through it.`);
  }
  // Progress is on stderr, the result alone on stdout.
  const agent = await buildAgent(config, identity, makeLogger('agent', 'silent'));
  try {
    const job = readJob(
      path,
      identity.hostId,
      (environmentId) => agent.journal.nextGeneration(environmentId),
      systemClock.now(),
    );
    process.once('SIGINT', () => agent.dispatcher.cancel(job.deploymentId));
    const result = await runJob(agent, job, (text) => void process.stderr.write(text));
    process.stdout.write(`${JSON.stringify(result)}\n`);
    process.exitCode = result.ok ? 0 : 1;
  } finally {
    await agent.stop();
  }
}

async function makeBaseImages(kinds: readonly string[], { force }: { force?: true }): Promise<void> {
  const config = readConfig();
  const { buildBaseImages } = await import('./base-images/build.ts');
  const images = await buildBaseImages(makeEngine({ socketPath: config.dockerSocket }), kinds, {
    names: config.baseImages,
    workDirectory: join(config.stateFolder, 'base-images'),
    onProgress: (line) => void process.stderr.write(`${line}\n`),
    ...(force && { force }),
  });
  process.stdout.write(`${JSON.stringify(images)}\n`);
}

async function upgrade(flags: UpgradeFlags): Promise<void> {
  if (!isInstalled(process.execPath)) {
    throw new OrkestrError('ORK_UPGRADE_UNSUPPORTED', `${process.execPath} is no program of an installation.`);
  }
  process.exitCode = await upgradeHost(upgradeParts(readConfig()), flags, {
    result: (text) => void process.stdout.write(`${text}\n`),
    progress: (text) => void process.stderr.write(`${text}\n`),
  });
}

/** At boot, before Docker Engine starts apps (installer/units/orkestr-firewall.service): it needs no other process of ours. */
async function setRules(): Promise<void> {
  const { hostId } = requireIdentity(readConfig());
  await makeFirewall({ scope: scopeOf(hostId) }).ensure();
  process.stdout.write('The rules that keep apps in are in place.\n');
}

async function trial({ json }: { json?: true }): Promise<void> {
  const log = makeLogger('agent', 'silent');
  const report = await runTrial({ version: VERSION, config: readConfig(), clock: systemClock, log });
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : renderTrial(report));
  process.exitCode = report.ok ? 0 : 1;
}

async function tellHub(url: string | undefined): Promise<void> {
  const { hubAddress } = await import('./hub-address.ts');
  await hubAddress(readConfig(), url, systemClock);
}

async function leave(options: { yes?: true }): Promise<void> {
  const { leaveHub } = await import('./uninstall/command.ts');
  await leaveHub(readConfig(), options);
}

async function takeOff(options: UninstallOptions): Promise<void> {
  const { uninstallHost } = await import('./uninstall/command.ts');
  await uninstallHost(readConfig(), options);
}

/** @throws InvalidArgumentError what commander tells with the option's name */
function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 600)) throw new InvalidArgumentError('Seconds, at most 600.');
  return seconds;
}

function program(): Command {
  const cli = new Command('orkestr-agent')
    .description('The daemon of orkestr on a host: takes jobs from the hub and runs them with Docker Engine.')
    .version(VERSION)
    // Its own --version stands before a command; behind it, that is the command's.
    .enablePositionalOptions()
    .addHelpText('after', HELP);
  cli.command('serve').description('run the agent').action(serve);
  cli
    .command('join')
    .description('enrol this host with a hub; safe to repeat')
    .requiredOption('--hub <url>', 'address of the hub')
    .requiredOption('--token <token>', 'one-time join token; - reads it from stdin')
    .option('--name <name>', 'what the host is called', hostname())
    .action(enrolHost);
  cli
    .command('hub [url]')
    .description('where this host reaches its hub; with an address: the same hub is there from now on')
    .addHelpText('after', HUB_HELP)
    .action(tellHub);
  cli
    .command('leave')
    .description('take this host off its hub: its apps go, the programs stay; asks for its name first')
    .option('--yes', 'ask nothing')
    .addHelpText('after', LEAVE_HELP)
    .action(leave);
  cli
    .command('status')
    .description('how this host is: exit code 0 healthy, 1 degraded, 2 down')
    .option('--json', 'for programs')
    .action(status);
  cli
    .command('routes')
    .description('who serves what right now; on a terminal it goes on until Ctrl-C')
    .option('--json', 'one snapshot for programs')
    .option('--once', 'one snapshot, also on a terminal')
    .addHelpText('after', ROUTES_HELP)
    .action(routes);
  cli
    .command('doctor')
    .description('what is wrong on this host and how to mend it: exit code 0 nothing, 1 to look at, 2 to mend')
    .option('--json', 'for programs')
    .option('--fix', 'mend what is safe to mend (file modes, firewall rules), and say what was done')
    .option('--yes', 'with --fix: also remove containers and networks of ours that nothing needs')
    .option('--wait <seconds>', 'how long each check may take, on a slow host', secondsOf, CHECK_MS / 1000)
    .option('--bundle <file>', 'write a support archive (tar.gz) without secrets')
    .addHelpText('after', DOCTOR_HELP)
    .action(examineHost);
  cli
    .command('logs [deployment]')
    .description('step logs of a deployment, the newest by default; or what an app writes')
    .option('--step <step>', 'of one step only')
    .option('--app <project/environment>', 'what this app writes')
    .option('--tail <lines>', 'with --app: newest lines from before (default: 100; with --since all)', linesOf)
    .option('--since <time>', 'with --app: not older than this, such as 30s, 10m, 2h or 1d', agoOf)
    .option('-f, --follow', 'with --app: go on until Ctrl-C, also across deployments')
    .addHelpText('after', LOGS_HELP)
    .action(logs);
  cli.command('run <job>').description('one deployment from a job file, without a hub').action(runFile);
  cli
    .command('analyze <path>')
    .description('how a repository would be built and started, and why')
    .option('--json', 'the plan for programs')
    .option('--root <folder>', 'root directory of the app')
    .option('--dockerfile <path>', 'another Dockerfile than the one called so')
    .option('--detector <name>', 'the only one to ask')
    .option('--runtime-version <version>', 'instead of what the repository asks for')
    .addHelpText('after', ANALYZE_HELP)
    .action((path: string, options: AnalyzeOptions) =>
      printPlan(path, options, readConfig().baseImages, process.stdout),
    );
  cli
    .command('base-images')
    .description('base images made on this host')
    .command('build <kind...>')
    .description(`make those of ${CHOICES.join(', ')}`)
    .option('--force', 'also when nothing changed')
    .addHelpText('after', BASE_IMAGES_HELP)
    .action(makeBaseImages);
  cli
    .command('upgrade')
    .description('bring this host to another release, under traffic; the one before it comes back when that fails')
    .option('--version <version>', 'which one (default: the one that the hub hands on, or the newest)')
    .option('--from <folder>', 'take its files from there')
    .option('--allow-downgrade', 'also to an older one')
    .option('--dry-run', 'say what would be done')
    .option('--follow', 'order nothing: look on at the one under way')
    .option('--json', 'for programs')
    .addOption(new Option('--carry-out').hideHelp())
    .addHelpText('after', UPGRADE_HELP)
    .action(upgrade);
  cli
    .command('firewall')
    .description('set the rules that keep apps in; safe to repeat. A running agent does it by itself')
    .addHelpText('after', FIREWALL_HELP)
    .action(setRules);
  cli
    .command('trial')
    .description('whether this release would work on this host; changes nothing')
    .option('--json', 'for programs')
    .addHelpText('after', TRIAL_HELP)
    .action(trial);
  cli
    .command('uninstall')
    .description('take everything of orkestr off the host; asks for its name first')
    .option('--purge', 'ask nothing')
    .option('--keep-data', 'leave state, settings and images for the next installation')
    .addHelpText('after', UNINSTALL_HELP)
    .action(takeOff);
  return cli;
}

if (import.meta.main) {
  // No await at the top level: the release's bundle is CommonJS (docs/adr/0014).
  program()
    .parseAsync()
    .catch((error: unknown) => {
      const { title, detail, mend, evidence } = toProblem(toErrorReport(error));
      process.stderr.write([`${title}: ${detail}`, ...evidence.map((line) => `  | ${line}`), mend, ''].join('\n'));
      process.exitCode = 1;
    });
}
