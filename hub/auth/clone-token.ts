/**
 * The token with which an agent clones a project from the hub's own remote. It is valid for one project, read-only, and
 * while its deployment is open. It is sealed (authenticated encryption), so it needs no storage and cannot be forged.
 * It has no expiry of its own: a job may wait overnight for an offline host.
 */
import { z } from 'zod';
import { Uuid } from '../../protocol/ids.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Sealer } from '../../protocol/sealing.ts';

const CONTEXT = 'clone-token';

const Claims = z.object({ projectId: Uuid, deploymentId: Uuid });
type CloneClaims = z.infer<typeof Claims>;

/** A token for cloning one project, for one deployment. */
export function makeCloneToken(sealer: Sealer, claims: CloneClaims): string {
  return sealer.seal(JSON.stringify(claims), CONTEXT);
}

/** The claims of the token, valid while the deployment is open; undefined for any other token. */
export function readCloneToken(sealer: Sealer, token: string): CloneClaims | undefined {
  try {
    return Claims.parse(JSON.parse(sealer.open(token, CONTEXT)));
  } catch (error) {
    if (error instanceof OrkestrError) return undefined; // not sealed by us: an API token or a guess
    throw error;
  }
}
