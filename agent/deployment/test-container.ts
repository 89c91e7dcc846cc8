/** For tests: a container as Docker Engine reports it. */
import type { ContainerState } from './ports.ts';
import { IDS } from './test-job.ts';

/** The container of a deployment: running and fine, except for the `changes`. */
export const containerOf = (deploymentId: string, changes: Partial<ContainerState> = {}): ContainerState => ({
  id: `container of ${deploymentId}`,
  name: `orkestr-${deploymentId}`,
  deploymentId,
  environmentId: IDS.environment,
  projectId: IDS.project,
  running: true,
  address: '172.30.0.2',
  exitCode: null,
  oomKilled: false,
  startedAt: '2030-01-01T00:00:00Z',
  restarts: 0,
  imageHealth: null,
  imageHealthOutput: null,
  pid: 1,
  ...changes,
});
