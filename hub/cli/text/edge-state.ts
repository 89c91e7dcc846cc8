/** Texts about the state of an environment's domains and edge settings. Pure; shared by the CLI and the console. */
import type { Environment } from '../../api/schemas.ts';

/** One or two sentences. */
export const edgeStateText = (environment: Standing): string => TEXTS[environment.edge.state](environment);

type Standing = Pick<Environment, 'edge' | 'liveDeploymentId'>;

const TEXTS: Readonly<Record<Environment['edge']['state'], (environment: Standing) => string>> = {
  active: () => 'Active on the host.',
  sent: () => 'Sent to the host; waiting for its answer.',
  offline: () => 'The host is not connected: active as soon as it reconnects.',
  deployment: ({ liveDeploymentId }) =>
    liveDeploymentId === null
      ? 'Nothing is live yet: active with the first deployment, orkestr deploy.'
      : 'The agent of the host is older than the hub: active with the next deployment, orkestr deploy --again.',
  failed: ({ edge: { error } }) => `Not active: the host is retrying. ${error?.code ?? ''}: ${error?.message ?? ''}`,
};
