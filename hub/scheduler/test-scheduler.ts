/** For tests of the scheduler: create deployments without a push, and read their state. */
import assert from 'node:assert/strict';
import type { Job } from '../../protocol/job.ts';
import { AT, COMMIT } from '../test-release.ts';
import type { TestHub } from '../test-hub.ts';
import { findDeployment } from '../store/deployments.ts';
import type { Trigger } from '../store/schema.ts';
import { LOST_AFTER_MS } from './lease.ts';

export const create = (on: TestHub, trigger: Trigger = 'manual', rollback?: string): Promise<string> =>
  on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger,
    commit: COMMIT,
    branch: 'main',
    userId: on.account.userId,
    ...(rollback === undefined ? {} : { rollback: { releaseOf: rollback, variables: 'current' } }),
  });

export const find = async (on: TestHub, id: string) => {
  const row = await findDeployment(on.deps.db, id);
  assert.ok(row);
  return row;
};

export const running = (job: Job) =>
  ({
    kind: 'deployment',
    deploymentId: job.deploymentId,
    generation: job.generation,
    status: 'running',
    at: AT,
  }) as const;

export const LOST_MS = LOST_AFTER_MS + 1000;
