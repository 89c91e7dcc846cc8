/** Removes what the agent made, even if no identity is left that identifies it. */
import { existsSync } from 'node:fs';
import { lookUpIdentity, scopeOf } from '../identity/identity.ts';
import { lockState } from '../journal/lock.ts';
import type { Engine } from '../lib/engine.ts';
import type { Exec } from '../lib/exec.ts';
import { LABEL } from '../lib/labels.ts';
import type { Cleanup } from './cleanup.ts';
import { inEngine } from './in-engine.ts';
import { containersOn, scopesInEngine, scopesInFilter } from './scopes.ts';

export interface MadeParts {
  readonly stateFolder: string;
  readonly engine: Engine;
  readonly exec?: Exec;
  /** An installation owns the host; an agent that runs from sources may be one of several on its machine. */
  readonly installed: boolean;
  readonly keepData: boolean;
  /** Removals of what the agent with a scope made. */
  readonly thingsOf: (scope: string) => readonly Cleanup[];
  /** Runs them and prints each result. @returns whether none failed */
  readonly tell: (cleanups: readonly Cleanup[]) => Promise<boolean>;
}

/**
 * Holds the lock of the state folder meanwhile.
 * @returns whether everything that should be removed is gone
 */
export async function removeMade(parts: MadeParts): Promise<boolean> {
  const { stateFolder, installed, thingsOf, tell } = parts;
  const { known, damaged } = lookUpIdentity(stateFolder);
  if (known === null && damaged === null && !installed) return true;
  const lock = existsSync(stateFolder) ? await lockState(stateFolder) : null;
  try {
    if (known === null) return await removeUnknown(parts);
    const scope = scopeOf(known.hostId);
    return await tell([...thingsOf(scope), ...(installed ? [whatStays(parts, scope)] : [])]);
  } finally {
    lock?.release();
  }
}

/** Without an identity: if all apps of the host should go, removes those of any agent; otherwise lists them. */
async function removeUnknown(parts: MadeParts): Promise<boolean> {
  const { engine, exec, installed, keepData, thingsOf, tell } = parts;
  if (!installed || keepData) return tell([whatStays(parts, null)]);
  let scopes: readonly string[] = [];
  const look: Cleanup = {
    what: 'identity',
    async run() {
      // The packet filter knows scopes even if the engine is gone.
      scopes = await scopesInFilter(exec);
      return inEngine(async () => {
        scopes = [...new Set([...scopes, ...(await scopesInEngine(engine))])].toSorted();
        if (scopes.length === 0) return 'not readable, and nothing made by an agent';
        return `not readable: removing what any agent has made on this host (${scopes.join(', ')})`;
      });
    },
  };
  return (await tell([look])) && tell(scopes.flatMap(thingsOf));
}

/** Reports containers of other agents, which are kept: if there is an identity, or not everything should go. */
const whatStays = ({ engine }: MadeParts, own: string | null): Cleanup => ({
  what: 'other containers',
  run: () =>
    inEngine(async () => {
      const names = (await containersOn(engine, own)).join(' ');
      if (names === '') return 'none of an unknown agent';
      const remove = `docker rm --force ${names} && docker network prune --filter label=${LABEL.scope}`;
      return { warning: `of an unknown agent are kept. If nobody needs them: ${remove}` };
    }),
});
