/** Why a queued deployment has not started, in words that end the sentence "it waits for ...". */
import type { HostLinks } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { type DeploymentContext, listOpen } from '../store/deployments.ts';
import { findHostById } from '../store/hosts.ts';

export async function waitingFor(
  db: Db,
  links: HostLinks,
  { deployment, environment }: DeploymentContext,
): Promise<string | undefined> {
  if (deployment.status !== 'queued') return undefined;
  if (!links.isOnline(environment.host_id)) {
    const host = await findHostById(db, environment.host_id);
    return `the host ${host?.name ?? environment.host_id}, which is offline`;
  }
  if (deployment.sent_at !== null) return undefined; // its host has it and starts it any moment
  const ahead = (await listOpen(db, environment.id)).filter(({ generation }) => generation < deployment.generation);
  return ahead.length === 0 ? undefined : `deployment ${ahead[0]?.id}, which comes first`;
}
