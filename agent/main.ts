#!/usr/bin/env node
/** The agent process and its command line: `orkestr-agent`. */
import { readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { OrkestrError, toErrorReport, toProblem } from '../protocol/errors.ts';
import { makeLogger } from '../protocol/service/logger.ts';
import { onShutdown } from '../protocol/service/shutdown.ts';
import { makeSupervisor } from '../protocol/service/systemd.ts';
import { printPlan } from './analyze.ts';
import type { AnalyzeOptions } from './analyze.ts';
import { buildBaseImages } from './base-images/build.ts';
import { RECIPES } from './base-images/recipes/index.ts';
import { buildAgent, buildHost, logFolder, requireIdentity, VERSION } from './compose.ts';
import { readConfig } from './config.ts';
import type { Config } from './config.ts';
import { makeEngine } from './docker/engine.ts';
import { purgeEngine } from './docker/purge.ts';
import { joinHub, localIdentity, readIdentity, scopeOf } from './identity.ts';
import type { Identity } from './identity.ts';
import { lockState } from './journal/lock.ts';
import { systemClock } from './lib/clock.ts';
import { printLogs } from './logs.ts';
import { makeProxyClient } from './proxy-client/edge-proxy.ts';
import { readJob, runJob } from './run-job.ts';
import { checkAll, exitCode, renderStatus } from './status/index.ts';
import { showRoutes } from './routes/watch-routes.ts';
import { askAgent, askNames } from './status/local-api.ts';
import { uninstall } from './uninstall.ts';
import type { Cleanup } from './uninstall.ts';

export { buildAgent } from './compose.ts';

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
  const config = readConfig();
  const answer = await askAgent(config.agentSocket);
  const report = typeof answer === 'string' ? await lookWithoutAgent(config, answer === 'silent') : answer;
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : renderStatus(report));
  process.exitCode = exitCode(report.level);
}

const lookWithoutAgent = (config: Config, silent: boolean): ReturnType<typeof checkAll> => {
  const { dockerSocket, stateFolder, proxySocket } = config;
  return checkAll({ dockerSocket, stateFolder, proxy: makeProxyClient(proxySocket), agent: null, silent });
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
  const images = await buildBaseImages(makeEngine({ socketPath: config.dockerSocket }), kinds, {
    names: config.baseImages,
    workDirectory: join(config.stateFolder, 'base-images'),
    onProgress: (line) => void process.stderr.write(`${line}\n`),
    ...(force && { force }),
  });
  process.stdout.write(`${JSON.stringify(images)}\n`);
}

async function uninstallAll({ purge }: { purge?: true }): Promise<void> {
  if (!purge) throw new OrkestrError('ORK_INVALID', 'Everything of this host would go. Say so with --purge.');
  const config = readConfig();
  const identity = readIdentity(config.stateFolder);
  const lock = identity === null ? null : await lockState(config.stateFolder);
  try {
    const cleanups = identity === null ? [] : cleanupsOf(config, identity);
    const results = await uninstall(cleanups, ({ what, ok, told }) =>
      process.stdout.write(`${ok ? 'done  ' : 'FAILED'}  ${what}: ${told}\n`),
    );
    if (results.some(({ ok }) => !ok)) {
      // The identity stays: it is what tells our things from others' when this is called again.
      process.exitCode = 1;
      return;
    }
    rmSync(config.stateFolder, { recursive: true, force: true });
    rmSync(config.agentSocket, { force: true });
    process.stdout.write(`done    state: ${config.stateFolder} removed\n`);
  } finally {
    lock?.release();
  }
}

function cleanupsOf(config: Config, identity: Identity): readonly Cleanup[] {
  const { engine, firewall, sandbox, ports } = buildHost(config, identity.hostId);
  return [
    {
      what: 'routes',
      async run() {
        const table = await ports.proxy.table().catch(() => null);
        // Its routes go with its own state folder: a proxy that does not run serves nobody.
        if (table === null) return 'the proxy does not run';
        const ours = new Set((await ports.containers.list()).map(({ environmentId }) => environmentId));
        for (const { id } of table.upstreams) if (ours.has(id)) await ports.proxy.remove(id);
        return `${ours.size} taken off the proxy`;
      },
    },
    {
      what: 'engine',
      async run() {
        const { containers, images, networks } = await purgeEngine(engine, scopeOf(identity.hostId));
        return `${containers} containers, ${images} images, ${networks} networks removed`;
      },
    },
    { what: 'build sandbox', run: () => sandbox.purge().then(() => 'stopped and removed') },
    { what: 'firewall', run: () => firewall.remove().then(() => 'rules removed') },
  ];
}

const HELP = `
Examples:
  $ orkestr-agent join --hub https://hub.example.com --token TOKEN
  $ orkestr-agent serve
  $ orkestr-agent status
  $ orkestr-agent routes
  $ orkestr-agent logs --step build
  $ orkestr-agent base-images build node python
  $ orkestr-agent analyze ./shop

Environment:
  ORKESTR_AGENT_STATE    folder of identity, journal, logs and workspaces (default /var/lib/orkestr/agent)
  ORKESTR_AGENT_RUN      folder of sockets (default /run/orkestr)
  ORKESTR_PROXY_SOCKET   admin socket of the proxy (default /run/orkestr/proxy.sock)
  ORKESTR_DOCKER_SOCKET  socket of Docker Engine (default /var/run/docker.sock)
  ORKESTR_BASE_IMAGES    JSON file: kind of base image -> image name
  ORKESTR_LOG_LEVEL      trace, debug, info, warn, error, fatal or silent (default info)`;

const ROUTES_HELP = `
Examples:
  $ orkestr-agent routes                      # live: targets, in flight, streams, requests per second, errors
  $ orkestr-agent routes --once
  $ orkestr-agent routes --json | jq '.upstreams[] | {name, generation, held}'

Only the proxy's admin socket is needed; a running agent adds the names of projects.`;

const ANALYZE_HELP = `
Examples:
  $ orkestr-agent analyze .                   # plan, where each fact was read, warnings, and the Dockerfile
  $ orkestr-agent analyze . --root apps/web   # one app of a workspace
  $ orkestr-agent analyze . --json | jq -r .dockerfile.text

Nothing is built and nothing is changed. Without an agent's configuration the default base images are named.`;

function program(): Command {
  const cli = new Command('orkestr-agent')
    .description('The daemon of orkestr on a host: takes jobs from the hub and runs them with Docker Engine.')
    .version(VERSION)
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
    .command('logs [deployment]')
    .description('step logs of a deployment, the newest by default')
    .option('--step <step>', 'of one step only')
    .action((deploymentId: string | undefined, { step }: { step?: string }) =>
      printLogs({ folder: logFolder(readConfig()), deploymentId, step }, process.stdout),
    );
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
    .description(`make those of ${RECIPES.map(({ kind }) => kind).join(', ')}`)
    .option('--force', 'also when nothing changed')
    .action(makeBaseImages);
  cli
    .command('uninstall')
    .description('take everything of this agent off the host')
    .option('--purge', 'containers, images, networks, firewall rules, build sandbox and state')
    .action(uninstallAll);
  return cli;
}

if (import.meta.main) {
  try {
    await program().parseAsync();
  } catch (error) {
    const { title, detail, mend, evidence } = toProblem(toErrorReport(error));
    process.stderr.write([`${title}: ${detail}`, ...evidence.map((line) => `  | ${line}`), mend, ''].join('\n'));
    process.exitCode = 1;
  }
}
