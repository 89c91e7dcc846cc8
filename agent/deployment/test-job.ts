/** For tests: ids, and jobs as the hub sends them. */
import { randomUUIDv7 } from 'node:crypto';
import type { z } from 'zod';
import { DeployJob, RollbackJob } from '../../protocol/job.ts';
import type { Release } from '../../protocol/steps.ts';

export const IDS = {
  host: '018f0000-0000-7000-8000-00000000000a',
  project: '018f0000-0000-7000-8000-00000000000b',
  environment: '018f0000-0000-7000-8000-00000000000c',
  previous: '018f0000-0000-7000-8000-000000000001',
  deployment: '018f0000-0000-7000-8000-000000000002',
} as const;

export type JobChanges = Partial<z.input<typeof DeployJob>>;

/** The first deployment of an environment with a domain and a secret. */
export function deployJob(changes: JobChanges = {}): DeployJob {
  return DeployJob.parse({
    version: 1,
    kind: 'deploy',
    deploymentId: randomUUIDv7(),
    generation: 1,
    hostId: IDS.host,
    issuedAt: new Date(0).toISOString(),
    project: { id: IDS.project, slug: 'shop' },
    environment: { id: IDS.environment, slug: 'production' },
    source: { origin: 'hub', url: 'https://hub.example.com/git/shop.git', branch: 'main' },
    commit: 'c'.repeat(40),
    settings: { domains: [{ host: 'shop.example.com' }] },
    env: { SECRET: 'hunter2-hunter2' },
    keepImages: 5,
    ...changes,
  });
}

/** The deployment `IDS.deployment`, which follows `IDS.previous`: without settings and variables. */
export const secondJob = (changes: JobChanges = {}): DeployJob =>
  deployJob({ deploymentId: IDS.deployment, generation: 2, settings: {}, env: {}, ...changes });

export function rollbackJob(release: Release, changes: Partial<RollbackJob> = {}): RollbackJob {
  return RollbackJob.parse({ ...deployJob(), kind: 'rollback', release, ...changes });
}
