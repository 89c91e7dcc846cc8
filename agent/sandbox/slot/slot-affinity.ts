/** Which slot each environment used last, where its cache is. Survives restarts of the agent. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { makePrivateFolder, writeFileAtomic } from '../../lib/files.ts';

const FILE = 'slots.json';
/** The environments built longest ago are dropped: their cache has been pruned by then. */
const MOST = 1000;

const SlotAffinity = z.array(z.tuple([z.string(), z.int().min(0)]));

export interface SlotAffinity {
  /** Index of the slot; undefined if the environment was never built here, or long ago. */
  of(environmentId: string): number | undefined;
  set(environmentId: string, slot: number): void;
}

export function openSlotAffinity(folder: string): SlotAffinity {
  const path = join(folder, FILE);
  let slots: Map<string, number> | undefined;
  const read = (): Map<string, number> => (slots ??= new Map(readAffinity(path)));
  return {
    of: (environmentId) => read().get(environmentId),
    set(environmentId, slot) {
      const known = read();
      if (known.get(environmentId) === slot) return;
      known.delete(environmentId); // reinsert at the end: the map is ordered by last use
      known.set(environmentId, slot);
      makePrivateFolder(folder);
      writeFileAtomic(path, JSON.stringify([...known].slice(-MOST)), 0o600);
    },
  };
}

function readAffinity(path: string): z.infer<typeof SlotAffinity> {
  try {
    return SlotAffinity.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return []; // missing or unreadable: the only cost is that the next build may run without its cache
  }
}
