/** Why a queued deployment has not started, in words that end the sentence "it waits for ...". */
import type { HostLinks } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { type DeploymentContext, listOpen } from '../store/deployments.ts';
import { findHostById } from '../store/hosts.ts';
import { placeDeployment } from './placement.ts';

export async function waitingFor(
  db: Db,
  links: HostLinks,
  { deployment, environment }: DeploymentContext,
): Promise<string | undefined> {
  if (deployment.status !== 'queued') return undefined;
  if (deployment.sent_at !== null) {
    const hostId = deployment.host_id ?? environment.host_id;
    if (links.isOnline(hostId)) return undefined; // its host has it and starts it any moment
    return `the host ${(await findHostById(db, hostId))?.name ?? hostId}, which is offline`;
  }
  const placement = await placeDeployment(db, links, deployment, environment);
  if (placement.kind === 'waits') return placement.for;
  const ahead = (await listOpen(db, environment.id)).filter(({ generation }) => generation < deployment.generation);
  return ahead.length === 0 ? undefined : `deployment ${ahead[0]?.id}, which comes first`;
}
