/**
 * `npm run e2e:isolation`: what a build and an app container can reach, tried on a complete installation. Each
 * forbidden target is first reached from where that is allowed, to prove that it exists. See HELP. The last line of its
 * output is JSON.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { Deployment } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import { makeEngine } from '../../agent/docker/engine.ts';
import { run } from '../../agent/lib/exec.ts';
import { LABEL } from '../../agent/lib/labels.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';
import { withEngine } from '../harness/engine.ts';
import { interrupted } from '../harness/interrupted.ts';
import type { TestProject } from '../harness/project.ts';
import { exitCodeOf } from '../harness/script.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { type TargetLists, appFiles, readResults } from './app.ts';
import { probeAll } from './prober.mjs';
import { forbiddenTrials, internetTrials, portOf, proxiedTrials, registryUrl, siblingTrial } from './targets.ts';
import type { Container, Trial } from './targets.ts';
import { type World, hostDoors, openWorld } from './world.ts';

const HELP = `npm run e2e:isolation

Deploys an app whose build and whose container try to reach what they must not: ports of the host on each of its addresses,
the Docker API, other containers and published ports, metadata services, another build's sandbox, unix sockets; and what
they may: the npm registry, DNS, a machine behind the host, the project's own containers. Then a build with an allow-list.
Needs root. Prints a line per try. Exit code 1 when anything is reached that must not be, or not reached that may be.`;

/** How often to fetch a log until it is complete, and the pause in between, ms. */
const LOG_TRIES = 60;
const LOG_PAUSE_MS = 500;

interface Result extends Trial {
  /** "build", "app" or "build with buildHosts". */
  readonly from: string;
  readonly reached: boolean;
}

const say = (text: string): void => console.log(`  ${text}`);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { help: { type: 'boolean', default: false } } });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const results = await withEngine({ kinds: ['node'], say }, async () => {
    const stack = await startStack();
    try {
      return await Promise.race([tryAll(stack), interrupted()]);
    } finally {
      await stack.stop();
    }
  });
  return report(results);
}

async function tryAll(stack: Stack): Promise<readonly Result[]> {
  const none: TargetLists = { build: [], app: [] };
  const project = await stack.createProject(appFiles(none), { slug: 'open' });
  const other = await stack.createProject(appFiles(none), { slug: 'other' });
  await live(project);
  // From here on the sandbox runs. Everything created now comes after its rules, like most things on a real host.
  const otherProject = await containerOf((await live(other)).id);
  const sibling = await containerOf(await deploySibling(stack, project));
  const world = await openWorld();
  try {
    const bridges = new RegExp(`^(?:ork${stack.scope.slice(0, 4)}-|ob)`);
    const loopbackPorts = [stack.hubUrl, stack.proxyUrl].map((url) => portOf(new URL(url)));
    const ours = { loopbackPorts, runFolder: stack.plan.runFolder, interfaces: bridges, otherProject };
    const forbidden = await forbiddenTrials(world, ours);
    await allThere(world, [...forbidden, siblingTrial(sibling, false)]);
    const free = await internetTrials(world, true);
    const build = [...forbidden, siblingTrial(sibling, false), ...free];
    const app = [...forbidden, siblingTrial(sibling, true), ...free];
    const closed = [...forbidden, siblingTrial(sibling, false), ...(await internetTrials(world, false))];
    return [...(await tryOpen(stack, project, world, build, app)), ...(await tryClosed(stack, world, closed))];
  } finally {
    await world.end();
  }
}

/** From a build and from an app with default settings. */
async function tryOpen(
  stack: Stack,
  project: TestProject,
  world: World,
  build: readonly Trial[],
  app: readonly Trial[],
): Promise<readonly Result[]> {
  const lists = { build: targetsOf(build), app: targetsOf(app) };
  const deployment = await live(project, appFiles(lists));
  const fromBuild = readResults(await logOf(stack, deployment.id, build.at(-1)?.target.name ?? ''));
  const fromApp = z.record(z.string(), z.boolean()).parse(JSON.parse((await project.get('/probe')).body));
  return [...judge('build', build, fromBuild, world), ...judge('app', app, fromApp, world)];
}

/** From a build with an allow-list: directly, through the proxy it is given, and by npm as people use it. */
async function tryClosed(stack: Stack, world: World, direct: readonly Trial[]): Promise<readonly Result[]> {
  const registry = await registryUrl();
  const [door = ''] = await hostDoors(/^$/);
  const trials = [...direct, ...(await proxiedTrials(world, door))];
  const project = await stack.createProject(
    {},
    {
      slug: 'closed',
      settings: {
        // Listing the host or its containers must open neither.
        buildHosts: [
          `${registry.hostname}:${portOf(registry)}`,
          `${door}:${world.hostPort}`,
          ...world.guests.map(({ address, port }) => `${address}:${port}`),
        ],
      },
    },
  );
  const byNpm = {
    target: { name: 'npm', kind: 'proxied', to: registry.hostname, port: portOf(registry) },
    allowed: true,
  } as const;
  const npm = 'RUN npm view is-odd@3.0.1 name && echo isolation npm=reached';
  const deployment = await live(project, appFiles({ build: targetsOf(trials), app: [] }, [npm]));
  const log = await logOf(stack, deployment.id, 'npm');
  for (const [line] of log.matchAll(/^.*refused: .*$/gm)) console.log(line);
  return judge('build with buildHosts', [...trials, byNpm], readResults(log), world);
}

/** Deploys, and throws unless the deployment goes live. */
async function live(project: TestProject, files?: Readonly<Record<string, string>>): Promise<Deployment> {
  const deployment = await project.deploy(files);
  if (deployment.status === 'live') return deployment;
  throw new Error(`${project.slug} is ${deployment.status}: ${JSON.stringify(deployment.error)}`);
}

/** A second environment of the project, on a branch that is not pushed again. @returns its deployment */
async function deploySibling(stack: Stack, project: TestProject): Promise<string> {
  const slug = 'sibling';
  await stack.client.post(apiPath('projects', project.slug, 'environments'), { slug, branch: slug }, z.unknown());
  await project.tree.push({ url: project.remoteUrl, token: stack.token }, slug);
  const [made] = await stack.deployments(project.slug, slug);
  if (!made) throw new Error('the push of the sibling made no deployment');
  const { status, error } = await stack.waitForDeployment(made.id);
  if (status !== 'live') throw new Error(`the sibling is ${status}: ${JSON.stringify(error)}`);
  return made.id;
}

async function containerOf(deploymentId: string): Promise<Container> {
  const engine = makeEngine({ socketPath: DOCKER_SOCKET });
  const filters = { label: [`${LABEL.deployment}=${deploymentId}`] };
  const [found] = await engine.call('list containers', (docker) => docker.listContainers({ filters }));
  const [network] = Object.values(found?.NetworkSettings.Networks ?? {});
  if (!network) throw new Error(`the deployment ${deploymentId} has no container`);
  return { address: network.IPAddress, port: 3000 };
}

/** The build log, once it has the prober's result for `last`: on a busy machine it trails the deployment's end. */
async function logOf(stack: Stack, id: string, last: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    const answer = await stack.client.open({ method: 'GET', path: `/deployments/${id}/logs` });
    const log = await answer.body.text();
    if (last in readResults(log)) return log;
    if (tries === LOG_TRIES) throw new Error(`the log says nothing of ${last}:\n${log.slice(-4000)}`);
    await delay(LOG_PAUSE_MS);
  }
}

/** The positive control. @throws when a target does not exist: then not reaching it would prove nothing */
async function allThere(world: World, trials: readonly Trial[]): Promise<void> {
  const [inSlot, onHost] = [trials.filter(isInSlot), trials.filter((trial) => !isInSlot(trial))];
  const found = await probeAll(
    onHost.map(({ target }) => ({ ...target, to: seenFromHost(target.to) })),
    'host',
  );
  // The host may not reach it either, so it is probed from inside its namespace.
  for (const { target } of inSlot) found[target.name] = await opensInside(world.slot);
  const missing = Object.entries(found).flatMap(([name, reached]) => (reached ? [] : [name]));
  if (missing.length > 0) throw new Error(`not there, so trying it would show nothing: ${missing.join(', ')}`);
}

const isInSlot = ({ target }: Trial): boolean => target.name === 'tcp:other-slot';
/** The zone of a link-local address is the container's; on the host any of its own addresses will do. */
const seenFromHost = (address: string): string => (/^fe80:.*%/.test(address) ? '::1' : address);

async function opensInside({ namespace, address, port }: World['slot']): Promise<boolean> {
  const script = `require('node:net').connect(${port}, '${address}').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
  const argv = [`--net=/run/netns/${namespace}`, '--', process.execPath, '-e', script];
  await run('nsenter', argv, { timeoutMs: 10_000 });
  return true;
}

const targetsOf = (trials: readonly Trial[]): Trial['target'][] => trials.map(({ target }) => target);

function judge(
  from: string,
  trials: readonly Trial[],
  found: Readonly<Record<string, boolean>>,
  { datagrams }: World,
): Result[] {
  return trials.map((trial) => {
    const reached = found[trial.target.name];
    if (reached === undefined) throw new Error(`${from} says nothing of ${trial.target.name}`);
    // A datagram that arrived has reached its target, even when the answer did not come back.
    return { ...trial, from, reached: reached || datagrams.has(`${from.split(' ')[0]} ${trial.target.name}`) };
  });
}

function report(results: readonly Result[]): number {
  for (const { from, target, allowed, reached } of results) {
    const verdict = allowed === reached ? 'right' : 'WRONG';
    console.log(`${verdict}  ${from}: ${target.name} ${reached ? 'reached' : 'not reached'}`);
  }
  const of = (allowed: boolean): readonly Result[] => results.filter((result) => result.allowed === allowed);
  const count = (list: readonly Result[]): number => list.filter(({ reached }) => reached).length;
  const summary = {
    forbidden: of(false).length,
    forbiddenReached: count(of(false)),
    allowed: of(true).length,
    allowedReached: count(of(true)),
  };
  console.log(JSON.stringify(summary));
  return summary.forbiddenReached === 0 && summary.allowed === summary.allowedReached ? 0 : 1;
}

process.exitCode = await exitCodeOf(main);
