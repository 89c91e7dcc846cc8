/** Which edge settings apply: those that came with a deployment, or newer ones that came on their own. */
import type { EdgePart } from '../../protocol/edge-order.ts';
import { edgePartOf, keepingProtocol } from '../../protocol/edge-order.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import type { DeploymentJournal } from './records.ts';

/** What a flip to this deployment puts into the proxy's table besides its target. */
export function edgeNow(
  journal: Pick<DeploymentJournal, 'edge'>,
  { environment, settings, edgeRevision }: Pick<ReleaseJob, 'environment' | 'settings' | 'edgeRevision'>,
): EdgePart {
  const own = edgePartOf(settings);
  const newest = journal.edge(environment.id);
  if (newest === null || edgeRevision === undefined || newest.revision <= edgeRevision) return own;
  return { routes: newest.routes, edge: keepingProtocol(newest, own) };
}
