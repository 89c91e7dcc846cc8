/** Chooses a pnpm that reads a lockfile like the version that wrote it: others refuse it, or ignore settings. */
import { admits } from '../versions.ts';

/**
 * Its major version. pnpm 7 wrote format 5.4, pnpm 8 wrote 6.0, pnpm 9 and later write 9.0. pnpm 10 reads most of
 * those: it supports settings both in pnpm-workspace.yaml, unlike pnpm 9, and in package.json, unlike pnpm 11; and
 * unlike later versions it continues if packages have install scripts that are not approved.
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

/** Checksums and patch hashes in MD5, in base 16 and 32; later versions use SHA-256. */
const OF_PNPM_9 = /^(?:packageExtensions|pnpmfile)Checksum: (?!sha256-)|^ +hash: [a-z2-7]{26}$/m;

/** A patch entry that consists only of its hash. */
const OF_PNPM_11 = /^patchedDependencies:\n(?: +\S+: [0-9a-f]{64}\n)/m;
