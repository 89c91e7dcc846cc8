/** One fixture app from `git push` to its answer. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/cli/client.ts';
import { BuildPlan } from '../../protocol/steps.ts';
import type { Stack } from '../harness/stack.ts';
import type { App } from './apps.ts';
import { filesOf } from './fixture-files.ts';

/** Builds of whole frameworks on two slow cores. */
const BUILD = { memoryMiB: 4096, cpus: 2, timeoutSeconds: 1200 };
const DEPLOYMENT_MS = 1_500_000;

export interface Outcome {
  readonly name: string;
  /** Name of the framework in the plan; empty when the analysis failed. */
  readonly detected: string;
  /** Null: only planned. */
  readonly built: boolean | null;
  readonly answered: boolean | null;
  /** From the push to the answer. */
  readonly ms: number;
  /** Why not. */
  readonly reason?: string;
}

export async function tryApp(stack: Stack, name: string, app: App, keep: boolean): Promise<Outcome> {
  const project = await stack.createProject(await filesOf(name), {
    slug: name,
    settings: {
      build: BUILD,
      ...(app.rootDirectory !== undefined && { rootDirectory: app.rootDirectory }),
      ...(app.memoryMiB !== undefined && { limits: { memoryMiB: app.memoryMiB } }),
    },
    ...(app.variables !== undefined && { variables: app.variables }),
  });
  const began = performance.now();
  const { id } = await project.push();
  const deployment = await stack.waitForDeployment(id, undefined, DEPLOYMENT_MS);
  const told = { name, detected: detectedIn(deployment), built: isDone(deployment, 'build') };
  try {
    if (deployment.status !== 'live') {
      return { ...told, answered: false, ms: since(began), reason: failureOf(deployment) };
    }
    const { status, body } = await project.get('/');
    const answered = status === 200 && app.body.test(body);
    return {
      ...told,
      answered,
      ms: since(began),
      ...(!answered && { reason: `GET / gave ${status}: ${body.slice(0, 300)}` }),
    };
  } finally {
    if (!keep) await remove(stack, name);
  }
}

const since = (began: number): number => Math.round(performance.now() - began);

const isDone = ({ steps }: DeploymentDetail, name: string): boolean =>
  steps.some((step) => step.name === name && step.status === 'done');

function detectedIn({ steps }: DeploymentDetail): string {
  const plan = BuildPlan.safeParse(steps.find(({ name }) => name === 'analyze')?.output);
  return plan.data?.framework ?? '';
}

/** The step, what it said, and the last lines of its log. */
function failureOf({ status, steps, error }: DeploymentDetail): string {
  const step = steps.find((one) => one.status === 'failed')?.name ?? 'no step';
  const lines = (error?.evidence ?? []).slice(-25).map((line) => `| ${line}`);
  return [`${status} in ${step}: ${error?.code ?? ''} ${error?.message ?? ''}`, ...lines].join('\n');
}

/** Takes the app off the host, so that the memory of one is there for the next. */
async function remove(stack: Stack, slug: string): Promise<void> {
  await stack.client.delete(apiPath('projects', slug));
  await pause(0);
}
