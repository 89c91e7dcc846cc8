/** Which edge settings count: those that came with a deployment, or newer ones that came by themselves. */
import type { EdgePart } from '../../protocol/edge-order.ts';
import { edgePartOf, keepingProtocol } from '../../protocol/edge-order.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import type { DeploymentJournal } from './records.ts';

/** What a flip to this deployment is to put into the proxy's table beside its target. */
export function edgeNow(
  journal: Pick<DeploymentJournal, 'edge'>,
  { environment, settings, edgeRevision }: Pick<ReleaseJob, 'environment' | 'settings' | 'edgeRevision'>,
): EdgePart {
  const own = edgePartOf(settings);
  const newest = journal.edge(environment.id);
  if (newest === null || edgeRevision === undefined || newest.revision <= edgeRevision) return own;
  return { routes: newest.routes, edge: keepingProtocol(newest, own) };
}
