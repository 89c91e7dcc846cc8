/** Deployments by orkestr: pushed to a complete installation, timed until the proxy answers with the new version. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiPath } from '../../../hub/api/paths.ts';
import { DeploymentDetail } from '../../../hub/api/schemas.ts';
import type { TestProject } from '../../harness/project.ts';
import type { Stack } from '../../harness/stack.ts';

/** Polling interval for the app, ms; the plain script uses the same. */
export const LOOK_MS = 10;
const LIMIT_MS = 180_000;

export interface Deployed {
  /** From the trigger to the first response of the new version. */
  readonly ms: number;
  /** Step → ms. */
  readonly steps: Readonly<Record<string, number>>;
}

/** Pushes what is committed. Time starts when the hub has the push: the plain script's commit is pushed, too. */
export async function deployByPush(stack: Stack, project: TestProject, version: string): Promise<Deployed> {
  const answered = firstAnswer(project, version);
  const { id } = await project.push();
  return timed(stack, id, await answered);
}

/** Goes back to the release of `deploymentId`, whose image is still on the host. */
export async function rollBack(
  stack: Stack,
  project: TestProject,
  deploymentId: string,
  version: string,
): Promise<Deployed> {
  const answered = firstAnswer(project, version);
  const { id } = await stack.client.post(apiPath('deployments', deploymentId, 'rollback'), {}, DeploymentDetail);
  return timed(stack, id, await answered);
}

/** How long an idle build engine is kept, seconds: longer than the pauses between two deployments of a round. */
export const IDLE_SECONDS = 20;

/** Waits until the agent stops the engine, with its network and disk, as on a host that has not built for a while. */
export async function untilSandboxStops({ scope }: Stack): Promise<void> {
  // Of the only slot; this is removed last.
  const namespace = `/run/netns/orkb-${scope}a`;
  for (const until = Date.now() + LIMIT_MS; Date.now() < until; await sleep(LOOK_MS)) {
    if (!existsSync(namespace)) return;
  }
  throw new Error(`the build engine was not stopped within ${LIMIT_MS} ms`);
}

/** @returns when the app first answered with `version`, by the wall clock that the hub's timestamps use, ms */
async function firstAnswer(project: TestProject, version: string): Promise<number> {
  for (const until = Date.now() + LIMIT_MS; Date.now() < until; await sleep(LOOK_MS)) {
    const { status, body } = await project.get();
    if (status === 200 && body.includes(version)) return Date.now();
  }
  throw new Error(`${version} did not answer within ${LIMIT_MS} ms`);
}

async function timed(stack: Stack, deploymentId: string, answeredAt: number): Promise<Deployed> {
  const { createdAt, steps, status, error } = await stack.waitForDeployment(deploymentId);
  if (status !== 'live') throw new Error(`the deployment is ${status}: ${error?.message}`);
  return {
    ms: answeredAt - Date.parse(createdAt),
    steps: Object.fromEntries(steps.map(({ name, ms }) => [name, Math.round(ms ?? 0)])),
  };
}
