/** For tests of the steps: outputs of the steps before, and the container that an app runs in. */
import type { RollbackJob } from '../../../protocol/job.ts';
import type { BuildPlan, Checkout, Image, Release } from '../../../protocol/steps.ts';
import type { ContainerState } from '../ports.ts';
import { secondJob, IDS } from '../test-job.ts';
import { containerOf } from '../test-container.ts';

export const id = (digit: string): string => `sha256:${digit.repeat(64)}`;

export const image: Image = {
  id: id('a'),
  reference: `orkestr/${IDS.environment}:${IDS.deployment}`,
  bytes: 1,
  baseImages: {},
  peakMemoryBytes: null,
  exposedPorts: [],
  hasHealthcheck: false,
};

export const plan: BuildPlan = {
  detector: 'node',
  confidence: 'certain',
  portGuessed: true,
  framework: 'Express',
  runtime: 'node',
  startCommand: 'node app.js',
  evidence: [],
  warnings: [],
  rootDirectory: 'web',
  dockerfile: { origin: 'generated', path: '.orkestr/Dockerfile', text: 'FROM node' },
  files: [],
};

export const checkout: Checkout = {
  commit: 'c'.repeat(40),
  subject: 'first',
  author: 'someone',
  files: 1,
  bytes: 2,
  committedAt: '2026-01-02T03:04:05.000Z',
};

/** Back to the previous deployment. */
export function aRollback(): RollbackJob {
  const { commit, ...job } = secondJob();
  const release: Release = {
    deploymentId: IDS.previous,
    commit,
    plan,
    image,
    liveAt: '2026-01-02T03:04:05.000Z',
    supersedes: null,
    foundPort: null,
    prunedImages: [],
  };
  return { ...job, commit, kind: 'rollback', release };
}

export const container = (deploymentId: string, parts: Partial<ContainerState> = {}): ContainerState =>
  containerOf(deploymentId, {
    environmentId: IDS.environment,
    projectId: IDS.project,
    address: '172.20.0.3',
    ...parts,
  });
