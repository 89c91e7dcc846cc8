/** Whose turn it is in one environment: a pure decision over the deployments that have not ended. */
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import type { Trigger } from '../store/schema.ts';

export interface OpenDeployment {
  readonly id: string;
  readonly generation: number;
  readonly trigger: Trigger;
  readonly status: DeploymentStatus;
  /** When its job was put on the wire first; null while it waits. */
  readonly sent_at: string | null;
}

interface Turn {
  /** Pushes that a newer waiting push has made pointless. */
  readonly skip: readonly { readonly id: string; readonly replacedBy: string }[];
  /** The one whose job may go out now. */
  readonly next: string | undefined;
}

/** Sent out and not ended: it may run on its host at any moment, so it has the environment for itself. */
export const isOccupying = (deployment: OpenDeployment): boolean =>
  deployment.status === 'running' || (deployment.status === 'queued' && deployment.sent_at !== null);

/**
 * One at a time, in the order of their creation. Of the waiting pushes only the newest is worth a build; manual deploys
 * and rollbacks were asked for by a person and are never dropped.
 */
export function decideTurn(open: readonly OpenDeployment[]): Turn {
  const waiting = open
    .filter((deployment) => deployment.status === 'queued' && deployment.sent_at === null)
    .toSorted((a, b) => a.generation - b.generation);
  const newestPush = waiting.findLast(({ trigger }) => trigger === 'push');
  const kept = waiting.filter((deployment) => deployment.trigger !== 'push' || deployment === newestPush);
  return {
    skip: waiting
      .filter((deployment) => !kept.includes(deployment))
      .map(({ id }) => ({ id, replacedBy: newestPush?.id ?? id })),
    next: open.some(isOccupying) ? undefined : kept[0]?.id,
  };
}
