/** `npm run bench:deploy`: see HELP. The last line of its output is one JSON object. */
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { withEngine } from '../../harness/engine.ts';
import type { TestProject } from '../../harness/project.ts';
import { exitCodeOf } from '../../harness/script.ts';
import { startStack } from '../../harness/stack.ts';
import type { Stack } from '../../harness/stack.ts';
import { FIXTURE, filesOf } from './app.ts';
import { type Deployed, deployByPush, IDLE_SECONDS, rollBack, untilSandboxStops } from './ours.ts';
import { makePlainScript, type PlainScript } from './plain.ts';
import { type Kind, type Pair, report } from './report.ts';

const HELP = `npm run bench:deploy [-- --rounds N]

Deploys a small Node app (Express, one Dockerfile) again and again: with orkestr, from the moment the push has reached the
hub until the new version answers through the proxy; and with a plain script, git clone, docker build, docker run and curl
until the new container answers. Both from the same remote, the same base image and with BuildKit, one after the other in
turn. The results are medians.

  cold      no command is in the build cache, and orkestr's build engine is stopped; the base image is where it was
  warm      only the source has changed
  rollback  orkestr alone, to the release before, whose image is still there

  --rounds N   of each (default 5)
  --help       this text

orkestr's build engine keeps its data below TMPDIR: it should be on the same disk, and in a folder as fast, as that of the host's engine.

The last line is a JSON object; "ratio" is ours divided by plain. orkestr's build has all processors of the machine, as the
plain script has; its health check asks for two good answers, and its container is hardened, which the plain one is not.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, help: { type: 'boolean', default: false } },
  });
  const rounds = Number(values.rounds);
  if (values.help || !(rounds >= 1 && rounds <= 50)) {
    console.log(HELP);
    return values.help ? 0 : 1;
  }
  const figures = await withEngine({ kinds: ['node'], say: console.log }, () => withStack(rounds));
  console.log(JSON.stringify(figures));
  return 0;
}

async function withStack(rounds: number): Promise<ReturnType<typeof report>> {
  const agent = { ORKESTR_BUILD_IDLE_SECONDS: String(IDLE_SECONDS), ORKESTR_BUILD_SLOTS: '1' };
  const stack = await startStack({ env: { agent } });
  const name = `ork-bench-${randomBytes(4).toString('hex')}`;
  let plain: PlainScript | undefined;
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => ended.abort(new Error(`${signal} came`)));
  }
  try {
    const settings = { build: { cpus: availableParallelism() } };
    const project = await stack.createProject(FIXTURE, { settings });
    plain = makePlainScript(project, name, stack.folder);
    return await runRounds(stack, project, plain, rounds, ended.signal);
  } finally {
    await plain?.clear();
    await stack.stop();
  }
}

/** @param signal ends the rounds between two deployments: a running one is awaited, so that nothing starts later */
async function runRounds(
  stack: Stack,
  project: TestProject,
  plain: PlainScript,
  rounds: number,
  signal: AbortSignal,
): Promise<ReturnType<typeof report>> {
  const pairs: Record<Kind, Pair[]> = { cold: [], warm: [] };
  const rollbacks: Deployed[] = [];
  const commit = async (round: string): Promise<string> => {
    signal.throwIfAborted();
    const version = `version-${randomBytes(4).toString('hex')}`;
    project.tree.write(filesOf(version, round));
    await project.tree.commit(version);
    return version;
  };
  /** Ours goes first each time: its push brings the commit to the remote from which both take it. */
  const both = async (kind: Kind, round: string): Promise<void> => {
    const version = await commit(round);
    const ours = await deployByPush(stack, project, version);
    const theirs = await plain.deploy(version);
    pairs[kind].push({ ours, plain: theirs });
    console.log(`${kind}: ours ${describe(ours)}; plain ${describe(theirs)}`);
  };

  // A host's first deployment brings the base image into the build engine, so it is reported separately.
  const first = await deployByPush(stack, project, await commit('first'));
  console.log(`first: ours ${describe(first)}`);
  for (let number = 1; number <= rounds; number += 1) {
    const round = randomBytes(4).toString('hex');
    signal.throwIfAborted();
    await untilSandboxStops(stack);
    await both('cold', round);
    await both('warm', round);
    const [newest, before] = await stack.deployments(project.slug);
    const wanted = before?.id ?? newest?.id ?? '';
    const subject = (await stack.deployment(wanted)).steps[0]?.output as { subject: string };
    rollbacks.push(await rollBack(stack, project, wanted, subject.subject));
    console.log(`rollback: ${describe(rollbacks.at(-1) as Deployed)}`);
  }
  return report({ first, pairs, rollbacks, rounds });
}

const describe = ({ ms, steps }: Deployed): string =>
  `${Math.round(ms)} ms (${Object.entries(steps)
    .map(([step, stepMs]) => `${step} ${stepMs}`)
    .join(', ')})`;

process.exitCode = await exitCodeOf(main);
