/** Decides whose turn it is in one environment: a pure function of the deployments that have not ended. */
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import type { Trigger } from '../store/schema.ts';

export interface OpenDeployment {
  readonly id: string;
  readonly generation: number;
  readonly trigger: Trigger;
  readonly status: DeploymentStatus;
  /** When its job was first sent; null while it waits. */
  readonly sent_at: string | null;
}

interface Turn {
  /** Pushes that a newer waiting push has replaced. */
  readonly skip: readonly { readonly id: string; readonly replacedBy: string }[];
  /** The deployment whose job may be sent now. */
  readonly next: string | undefined;
}

/** Sent and not ended: it may run on its host at any moment, so no other deployment of the environment may start. */
export const isOccupying = (deployment: OpenDeployment): boolean =>
  deployment.status === 'running' || (deployment.status === 'queued' && deployment.sent_at !== null);

/**
 * One at a time, in the order of creation. Of the waiting pushes only the newest is worth a build; manual deployments
 * and rollbacks were requested by a person and are never dropped.
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
