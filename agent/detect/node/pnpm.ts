/** Which pnpm reads a lockfile as the one did that wrote it: another one refuses it, or leaves settings out. */
import { admits } from '../versions.ts';

/**
 * Its major version. pnpm 7 wrote format 5.4, pnpm 8 wrote 6.0, pnpm 9 and later write 9.0. Most of those are read by pnpm 10:
 * it knows settings in pnpm-workspace.yaml, which pnpm 9 does not, and in package.json, which pnpm 11 does not any more; and
 * unlike later ones it goes on when packages have install scripts that nobody allowed.
 * @param range `engines.pnpm` of package.json: any other pnpm refuses to install
 */
export function pnpmOf(lockfile: string, range: string | undefined): string {
  const format = Number.parseInt(/lockfileVersion:\s*'?(\d+)/.exec(lockfile)?.[1] ?? '9', 10);
  if (format < 9) return format >= 6 ? '8' : '7';
  const [head = ''] = lockfile.split(/^importers:/m, 1);
  if (OF_PNPM_9.test(head)) return '9';
  if (OF_PNPM_11.test(head)) return '11';
  return ['10', '11', '12', '9'].find((version) => range === undefined || admits(range, version)) ?? '10';
}

/** Sums and hashes of patches in MD5, written in base 16 and 32; later ones are SHA-256. */
const OF_PNPM_9 = /^(?:packageExtensions|pnpmfile)Checksum: (?!sha256-)|^ +hash: [a-z2-7]{26}$/m;

/** The hash of a patch as the only thing that is said of it. */
const OF_PNPM_11 = /^patchedDependencies:\n(?: +\S+: [0-9a-f]{64}\n)/m;
