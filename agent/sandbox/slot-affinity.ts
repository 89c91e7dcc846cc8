/** Which slot each environment had last, where its cache is. Survives restarts of the agent. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { makePrivateFolder, writeFileAtomic } from '../lib/files.ts';

const FILE = 'homes.json';
/** The ones built longest ago are forgotten: their cache is pruned by then. */
const MOST = 1000;

const SlotAffinity = z.array(z.tuple([z.string(), z.int().min(0)]));

export interface SlotAffinity {
  /** Index of the slot; undefined: never built here, or long ago. */
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
      known.delete(environmentId); // and to the end: in order of use
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
    return []; // none yet, or not readable: the first build in another slot is slower, and that is all
  }
}
