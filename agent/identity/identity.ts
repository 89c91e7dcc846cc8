/** The identity of this host: its id, and its hub with that hub's pinned key. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { Timestamp, Uuid } from '../../protocol/ids.ts';
import { makePrivateFolder, readOptional, writeFileAtomic } from '../lib/files.ts';

const IDENTITY_FILE = 'identity.json';

export const Identity = z.object({
  hostId: Uuid,
  name: z.string(),
  /** Null for a host that only runs job files: no hub. */
  hub: z.object({ url: z.url(), publicKey: z.string() }).nullable(),
  since: Timestamp,
});
export type Identity = z.infer<typeof Identity>;

/**
 * First 8 hex digits of SHA-256 of the host id. Marks everything that its agent makes on the machine: label
 * `orkestr.scope`, names of bridges, chains and namespaces.
 */
export const scopeOf = (hostId: string): string => createHash('sha256').update(hostId).digest('hex').slice(0, 8);

/** @returns null if this state folder has no identity yet. @throws OrkestrError ORK_IDENTITY_UNREADABLE */
export function readIdentity(stateFolder: string): Identity | null {
  const path = join(stateFolder, IDENTITY_FILE);
  const text = readOptional(path);
  if (text === null) return null;
  try {
    return Identity.parse(JSON.parse(text));
  } catch (cause) {
    throw new OrkestrError('ORK_IDENTITY_UNREADABLE', `${path} is not a readable identity.`, { cause });
  }
}

interface Found {
  /** Null: there is none, or it is damaged. */
  readonly known: Identity | null;
  /** Path of a damaged identity. */
  readonly damaged: string | null;
}

/** For callers that can continue without an identity: a damaged one is returned, not thrown. */
export function lookUpIdentity(stateFolder: string): Found {
  try {
    return { known: readIdentity(stateFolder), damaged: null };
  } catch (error) {
    if (!(error instanceof OrkestrError) || error.code !== 'ORK_IDENTITY_UNREADABLE') throw error;
    return { known: null, damaged: join(stateFolder, IDENTITY_FILE) };
  }
}

/** @throws OrkestrError ORK_CONFIG if there is none yet, ORK_IDENTITY_UNREADABLE */
export function requireIdentity(stateFolder: string): Identity {
  const identity = readIdentity(stateFolder);
  if (identity) return identity;
  const there = existsSync(stateFolder) ? 'has no identity' : 'does not exist';
  throw new OrkestrError(
    'ORK_CONFIG',
    `ORKESTR_AGENT_STATE: ${stateFolder} ${there}. Join a hub first: orkestr-agent join --hub URL --token TOKEN.`,
  );
}

/** The identity of a host without a hub, created if there is none. */
export function localIdentity(stateFolder: string, now: number): Identity {
  const known = readIdentity(stateFolder);
  if (known) return known;
  makePrivateFolder(stateFolder);
  const made: Identity = { hostId: randomUUID(), name: 'local', hub: null, since: new Date(now).toISOString() };
  storeIdentity(stateFolder, made);
  return made;
}

export const storeIdentity = (stateFolder: string, identity: Identity): void =>
  writeFileAtomic(join(stateFolder, IDENTITY_FILE), `${JSON.stringify(identity, null, 2)}\n`, 0o600);
