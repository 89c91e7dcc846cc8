/**
 * What an agent reads a project of the hub's own remote with: good for one project, reading only, and no longer than
 * its deployment is open. Sealed (authenticated encryption), so that nothing needs to be stored and nobody can make one.
 * It has no time of its own: a job may wait on a host that is away for a night.
 */
import { z } from 'zod';
import { Uuid } from '../../protocol/ids.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Sealer } from '../../protocol/sealing.ts';

const CONTEXT = 'clone-token';

const Claims = z.object({ projectId: Uuid, deploymentId: Uuid });
type CloneClaims = z.infer<typeof Claims>;

/** A login for clones of one project, for one deployment and for nothing else. */
export function makeCloneToken(sealer: Sealer, claims: CloneClaims): string {
  return sealer.seal(JSON.stringify(claims), CONTEXT);
}

/** What the token is good for while its deployment is open, or undefined when it is none of ours. */
export function readCloneToken(sealer: Sealer, token: string): CloneClaims | undefined {
  try {
    return Claims.parse(JSON.parse(sealer.open(token, CONTEXT)));
  } catch (error) {
    if (error instanceof OrkestrError) return undefined; // not sealed by us: an API token or a guess
    throw error;
  }
}
