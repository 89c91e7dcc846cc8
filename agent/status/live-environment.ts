/** Finds a live environment of this host by what a person calls it. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Serving } from '../journal/serving.ts';
import { namesOf } from './agent-view.ts';

/**
 * The id of an environment.
 * @param app `project/environment`, or the id
 * @throws OrkestrError ORK_NOT_FOUND, listing the live apps
 */
export function liveEnvironment(serving: Pick<Serving, 'allLive' | 'job' | 'payload'>, app: string): string {
  const names = new Map(serving.allLive().map(({ environmentId }) => [environmentId, environmentId]));
  for (const [environmentId, name] of namesOf(serving)) names.set(environmentId, name);
  const found = [...names].find(([environmentId, name]) => app === name || app === environmentId);
  if (found !== undefined) return found[0];
  throw new OrkestrError('ORK_NOT_FOUND', `No app called ${app} is live on this host.`, {
    evidence: [`Live here: ${[...names.values()].toSorted().join(', ') || 'nothing'}`],
  });
}
