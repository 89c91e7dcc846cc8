/** Where the owner has the proxy listen elsewhere than on 80 and 443: drop-ins that installer/install/edge.sh writes. */
import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const LISTEN = 'zz-listen.conf';

/**
 * Ours go, with the folder when it is empty then. Those of the owner stay, and are told.
 * @param units systemd's folder of unit files
 * @returns folders that stay
 */
export function removeDropIns(units: string): readonly string[] {
  return readdirSync(units, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^orkestr-[a-z-]+\.[a-z]+\.d$/.test(entry.name))
    .map(({ name }) => join(units, name))
    .filter((folder) => {
      rmSync(join(folder, LISTEN), { force: true });
      if (readdirSync(folder).length > 0) return true;
      rmdirSync(folder);
      return false;
    });
}
