/** Adapts the text of a repair to the host: to its package manager, and to a missing docker program. */
import type { HasProgram } from './programs.ts';

/** A sentence, with commands for pasting between backticks; two texts if they depend on the package manager. */
export type Mend = string | Readonly<Record<PackageManager, string>>;
type PackageManager = 'apt' | 'dnf';

/** Debian and its derivatives now have Docker's client in a package of its own. */
const NO_CLIENT: Readonly<Record<PackageManager, string>> = {
  apt: 'The program docker is missing on this host: run `apt-get install docker-cli`.',
  dnf: 'The program docker is missing on this host: run `dnf install docker-ce-cli`.',
};

export function mendFor(mend: Mend, has: HasProgram): string {
  const manager = has('dnf') && !has('apt-get') ? 'dnf' : 'apt';
  const text = typeof mend === 'string' ? mend : mend[manager];
  return text.includes('`docker ') && !has('docker') ? `${text} ${NO_CLIENT[manager]}` : text;
}
