/** Removes what the agent has made; also where no identity tells any more what that is. */
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
  /** An installation is the host's; an agent that runs from sources may be one of several on its machine. */
  readonly installed: boolean;
  readonly keepData: boolean;
  /** What the agent of a scope has made. */
  readonly thingsOf: (scope: string) => readonly Cleanup[];
  /** Does them and tells of each. @returns whether none has failed */
  readonly tell: (cleanups: readonly Cleanup[]) => Promise<boolean>;
}

/**
 * The state folder is its own for as long as this takes.
 * @returns whether all that was to go is gone
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

/** All apps of the host were to go, so those of any agent do; where that was not said they are named. */
async function removeUnknown(parts: MadeParts): Promise<boolean> {
  const { engine, exec, installed, keepData, thingsOf, tell } = parts;
  if (!installed || keepData) return tell([whatStays(parts, null)]);
  // They tell it also where the engine is not on the host any more.
  let scopes = await scopesInFilter(exec);
  const look: Cleanup = {
    what: 'identity',
    run: () =>
      inEngine(async () => {
        scopes = [...new Set([...scopes, ...(await scopesInEngine(engine))])].toSorted();
        if (scopes.length === 0) return 'not readable, and nothing made by an agent';
        return `not readable: removing what any agent has made on this host (${scopes.join(', ')})`;
      }),
  };
  return (await tell([look])) && tell(scopes.flatMap(thingsOf));
}

/** Those of another agent, which may be somebody's: beside an identity, and where all of the host was not asked for. */
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
