/** Prints every deployment of this installation step by step with its times, whoever started it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Deployment, Project } from '../../hub/api/schemas.ts';
import type { Step } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import type { Client } from '../../hub/cli/client.ts';
import { followDeployment } from '../../hub/cli/events.ts';
import { formatDuration, shortCommit } from '../../hub/cli/text/format.ts';
import { STEP_MARKS, stepSummary } from '../../hub/cli/text/step-summary.ts';
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { CutoverReceipt } from '../../protocol/steps.ts';

/** Pause between two polls for new deployments, ms. */
const LOOK_MS = 1000;
/** Newest deployments per environment that a poll sees. */
const LOOK_LIMIT = 5;
/** Number of printed deployments that are remembered; more than the polls can see. */
const REMEMBERED = 2000;

export interface Outcome {
  readonly id: string;
  readonly commit: string;
  readonly status: DeploymentStatus;
  /** Step → duration. */
  readonly ms: Readonly<Record<string, number>>;
  readonly error: ErrorReport | null;
}

export class Watch {
  readonly #client: Client;
  readonly #tell: (line: string) => void;
  readonly #stop = new AbortController();
  readonly #followed = new Map<string, Promise<Outcome>>();
  /** Deployments that ended before the watch started. */
  readonly #past = new Set<string>();
  #loop: Promise<void> = Promise.resolve();

  constructor(client: Client, tell: (line: string) => void) {
    this.#client = client;
    this.#tell = tell;
  }

  /** Deployments that have already ended are not printed. */
  async start(): Promise<void> {
    for (const { id, status } of await this.#look()) {
      if (!['queued', 'running'].includes(status)) this.#past.add(id);
    }
    this.#loop = this.#run();
  }

  /** Prints a deployment until it ends. A second call returns the same outcome and prints nothing. */
  follow(id: string): Promise<Outcome> {
    return this.#followed.get(id) ?? this.#remember(id, this.#follow(id));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await Promise.allSettled(this.#followed.values());
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        for (const { id } of await this.#look()) if (!this.#past.has(id)) void this.follow(id);
      } catch (error) {
        // The hub is unreachable for a moment, e.g. during a restart: the next poll sees what happened meanwhile.
        if (!(error instanceof OrkestrError)) throw error;
      }
      // Aborted by stop(), which ends the loop.
      await sleep(LOOK_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<Deployment[]> {
    const projects = await this.#client.get('/projects', z.array(Project));
    const paths = projects.flatMap(({ id, environments }) =>
      environments.map((environment) => `${apiPath('projects', id, 'environments', environment.id)}/deployments`),
    );
    const lists = await Promise.all(
      paths.map((path) => this.#client.get(path, z.array(Deployment), { limit: LOOK_LIMIT })),
    );
    return lists.flat().toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  #remember(id: string, outcome: Promise<Outcome>): Promise<Outcome> {
    // Callers that await the outcome get its error; for everybody else, it has been printed.
    outcome.catch(() => undefined);
    this.#followed.set(id, outcome);
    const [oldest] = this.#followed.keys();
    if (this.#followed.size > REMEMBERED && oldest) this.#followed.delete(oldest);
    return outcome;
  }

  async #follow(id: string): Promise<Outcome> {
    const ms: Record<string, number> = {};
    let last: Deployment | undefined;
    let status: DeploymentStatus | undefined;
    for await (const event of followDeployment(this.#client, id, { signal: this.#stop.signal })) {
      if (event.kind === 'status') {
        if (!last) this.#tell(heading(event.deployment));
        last = event.deployment;
      } else if (event.kind === 'step' && event.step.status !== 'running') {
        if (event.step.ms !== null) ms[event.step.name] = Math.round(event.step.ms);
        for (const line of stepLines(event.step)) this.#tell(line);
      } else if (event.kind === 'end') status = event.status;
    }
    if (!last || !status) throw new OrkestrError('ORK_CANCELLED', `Deployment ${id} was not followed to its end.`);
    this.#tell(closing(last, status));
    return { id, commit: last.commit, status, ms, error: last.error };
  }
}

const heading = ({ project, environment, branch, commit, trigger }: Deployment): string =>
  `▸ ${project.slug} (${environment.slug}): ${trigger} of ${branch} at ${shortCommit(commit)}`;

function stepLines(step: Step): string[] {
  const time = step.ms === null ? '' : formatDuration(step.ms);
  const line =
    `  ${STEP_MARKS[step.status]} ${step.name.padEnd(8)} ${time.padStart(9)}  ${stepSummary(step)}`.trimEnd();
  const receipt = step.name === 'cutover' && step.status === 'done' ? CutoverReceipt.safeParse(step.output) : null;
  if (!receipt?.success) return [line, ...(step.error?.evidence ?? []).slice(-8).map((fact) => `      │ ${fact}`)];
  const { previous, current, failed } = receipt.data;
  const old = previous ? `${previous.requests.served} by the old one, ` : '';
  return [line, `      requests served: ${old}${current.requests.served} by the new one; failed: ${failed}`];
}

function closing(deployment: Deployment, status: DeploymentStatus): string {
  if (status === 'live') return `  live at ${deployment.urls.join(', ')}`;
  return `  ${status}${deployment.error ? `: ${deployment.error.code} ${deployment.error.message}` : ''}`;
}
