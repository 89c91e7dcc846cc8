/**
 * What an agent reads a project of the hub's own remote with: good for one project, reading only, and no longer than
 * its deployment is open. Sealed (authenticated encryption), so that nothing needs to be stored and nobody can make one.
 */
import { z } from 'zod';
import { Uuid } from '../../protocol/ids.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Sealer } from '../../protocol/sealing.ts';

/** A job may wait this long on its host before it clones, ms. */
const LIFETIME_MS = 6 * 60 * 60 * 1000;
const CONTEXT = 'clone-token';

const Claims = z.object({ projectId: Uuid, deploymentId: Uuid, expiresAt: z.number() });
type CloneClaims = Omit<z.infer<typeof Claims>, 'expiresAt'>;

export function makeCloneToken(sealer: Sealer, claims: CloneClaims, now: Date): string {
  return sealer.seal(JSON.stringify({ ...claims, expiresAt: now.getTime() + LIFETIME_MS }), CONTEXT);
}

/** What the token is good for, or undefined when it is none of ours or its time is over. */
export function readCloneToken(sealer: Sealer, token: string, now: Date): CloneClaims | undefined {
  try {
    const claims = Claims.parse(JSON.parse(sealer.open(token, CONTEXT)));
    return claims.expiresAt > now.getTime() ? claims : undefined;
  } catch (error) {
    if (error instanceof OrkestrError) return undefined; // not sealed by us: an API token or a guess
    throw error;
  }
}
