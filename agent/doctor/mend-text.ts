/** What a mend says on a host: by the package manager that it has, and what to do about a program that it lacks. */
import type { HasProgram } from './programs.ts';

/** A sentence, or commands that can be pasted between backticks; two where package managers make a difference. */
export type Mend = string | Readonly<Record<PackageManager, string>>;
type PackageManager = 'apt' | 'dnf';

/** Debian and its like have the client of Docker Engine in a package of its own by now. */
const NO_CLIENT: Readonly<Record<PackageManager, string>> = {
  apt: 'The program docker is missing on this host: run `apt-get install docker-cli`.',
  dnf: 'The program docker is missing on this host: run `dnf install docker-ce-cli`.',
};

export function mendFor(mend: Mend, has: HasProgram): string {
  const manager = has('dnf') && !has('apt-get') ? 'dnf' : 'apt';
  const text = typeof mend === 'string' ? mend : mend[manager];
  return text.includes('`docker ') && !has('docker') ? `${text} ${NO_CLIENT[manager]}` : text;
}
