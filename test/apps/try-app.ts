/** Takes one fixture app from `git push` to its response, and again with changed sources if it has any. */
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import { runProgram } from '../../installer/stack/run-program.ts';
import { BuildPlan } from '../../protocol/steps.ts';
import { planOf as planOfFixture } from '../fixtures/plan-of.ts';
import type { TestProject } from '../harness/project.ts';
import type { Stack } from '../harness/stack.ts';
import type { App } from './apps.ts';
import { filesOf } from './fixture-files.ts';

/** Allows for builds of whole frameworks on two slow cores. */
const BUILD = { memoryMiB: 4096, cpus: 2, timeoutSeconds: 1200 };
const DEPLOYMENT_MS = 1_500_000;
/** Greeting of an app whose sources were changed. */
const CHANGED = 'changed hello from';

export interface Outcome {
  readonly name: string;
  /** Name of the framework in the plan; empty when the analysis failed. */
  readonly detected: string;
  /** Null: only planned. */
  readonly built: boolean | null;
  readonly answered: boolean | null;
  /** From the push to the first response. */
  readonly ms: number;
  /** Why it was not built or did not answer. */
  readonly reason?: string;
}

interface Trial {
  readonly stack: Stack;
  readonly project: TestProject;
  readonly app: App;
  readonly began: Date;
}

interface TrialOptions {
  /** Node.js line for apps that use it; undefined: the line each app asks for. */
  readonly node: string | undefined;
  readonly keep: boolean;
}

/** Never throws because of the app: its failure is the outcome. */
export async function tryApp(stack: Stack, name: string, app: App, options: TrialOptions): Promise<Outcome> {
  const { node, keep } = options;
  const files = await filesOf(name);
  const isNode = node !== undefined && (await planOfFixture(name)).detector === 'node';
  const project = await stack.createProject(files, {
    slug: name,
    settings: { build: BUILD, ...(isNode && { runtimeVersion: node }) },
    ...(app.variables !== undefined && { variables: app.variables }),
  });
  const trial: Trial = { stack, project, app, began: new Date() };
  try {
    const began = performance.now();
    const deployment = await deploy(trial);
    const wrong = deployment.status === 'live' ? await wrongAnswer(trial) : failureOf(deployment);
    const outcome = {
      name,
      detected: planOf(deployment)?.framework ?? '',
      built: deployment.steps.some((step) => step.name === 'build' && step.status === 'done'),
      answered: wrong === null,
      ms: Math.round(performance.now() - began),
    };
    const reason = wrong ?? (await wrongImage(deployment, app)) ?? (await wrongRebuild(trial, files));
    return reason === null ? outcome : { ...outcome, answered: false, reason };
  } finally {
    // Frees the memory of this app for the next one.
    if (!keep) await stack.client.delete(apiPath('projects', name));
  }
}

async function deploy({ stack, project }: Trial): Promise<DeploymentDetail> {
  return stack.waitForDeployment((await project.push()).id, undefined, DEPLOYMENT_MS);
}

async function wrongAnswer({ project, app }: Trial, holds = ''): Promise<string | null> {
  const { status, body } = await project.get('/');
  if (status === 200 && app.body.test(body) && body.includes(holds)) return null;
  return `GET / gave ${status}: ${body.slice(0, 300)}`;
}

/** Checks what the image must not contain, in the running container. */
async function wrongImage({ steps }: DeploymentDetail, { absent }: App): Promise<string | null> {
  if (absent === undefined) return null;
  const target = steps.find(({ name }) => name === 'deploy')?.output as { containerId?: string } | undefined;
  const { code, stderr } = await runProgram(['docker', 'exec', target?.containerId ?? '', 'ls', '-d', '--', absent]);
  if (code === 0) return `the image holds ${absent}, which production does not need`;
  return /No such file/.test(stderr) ? null : `docker exec: ${stderr}`;
}

/**
 * A change of sources alone must take effect without another install. Its commit is older than the first build, like
 * one made meanwhile or one gone back to: output of that build must not be mistaken for its own.
 */
async function wrongRebuild(trial: Trial, files: Readonly<Record<string, string>>): Promise<string | null> {
  const { stack, project, app, began } = trial;
  const path = app.changed;
  if (path === undefined) return null;
  project.tree.write({ [path]: (files[path] ?? '').replace(/hello from/i, CHANGED) });
  await project.tree.commit('Only sources', began);
  const deployment = await deploy(trial);
  if (deployment.status !== 'live') return `after a change of ${path}: ${failureOf(deployment)}`;
  const log = await stack.client.open({
    method: 'GET',
    path: `${apiPath('deployments', deployment.id)}/logs`,
    query: { step: 'build' },
  });
  const said = (await log.body.text()).split('\n');
  const install = installOf(planOf(deployment));
  const isKept = said.some((line) => line.includes(install ?? '') && /\bcached\b/i.test(line));
  if (install !== null && !isKept) return `a change of ${path} alone ran \`${install}\` again`;
  return wrongAnswer(trial, CHANGED);
}

/** The command that must not run again; null where no layer holds the dependencies. */
const installOf = (plan: BuildPlan | undefined): string | null =>
  plan?.installCommand ?? (plan?.detector === 'go' ? 'go mod download' : null);

const planOf = ({ steps }: DeploymentDetail): BuildPlan | undefined =>
  BuildPlan.safeParse(steps.find(({ name }) => name === 'analyze')?.output).data;

/** The step, its error, and the last lines of its log. */
function failureOf({ status, steps, error }: DeploymentDetail): string {
  const step = steps.find((one) => one.status === 'failed')?.name ?? 'no step';
  const lines = (error?.evidence ?? []).slice(-25).map((line) => `| ${line}`);
  return [`${status} in ${step}: ${error?.code ?? ''} ${error?.message ?? ''}`, ...lines].join('\n');
}
