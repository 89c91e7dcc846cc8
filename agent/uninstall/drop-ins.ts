/** Drop-ins that installer/install/edge.sh writes if the owner makes the proxy listen elsewhere than on 80 and 443. */
import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const LISTEN = 'zz-listen.conf';

/**
 * Removes our files, and the folder if it is then empty. Files of the owner stay and are reported.
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
