/** For tests: a release with its commit and time. */
import type { Release } from '../protocol/steps.ts';

export const AT = '2030-01-01T00:00:00.000Z';
export const COMMIT = 'a'.repeat(40);

export function exampleRelease(deploymentId: string): Release {
  return {
    deploymentId,
    commit: COMMIT,
    plan: {
      detector: 'node',
      confidence: 'certain',
      portGuessed: true,
      framework: 'node',
      runtime: 'node 24',
      evidence: [],
      warnings: [],
      rootDirectory: '.',
      dockerfile: { origin: 'generated', path: 'Dockerfile', text: 'FROM scratch' },
      files: [],
    },
    image: {
      id: `sha256:${'0'.repeat(64)}`,
      reference: 'orkestr/x:y',
      bytes: 1,
      baseImages: {},
      peakMemoryBytes: null,
      exposedPorts: [],
      hasHealthcheck: false,
    },
    liveAt: AT,
    supersedes: null,
    foundPort: null,
    prunedImages: [],
  };
}
