/** The contents of a release: made by installer/release, served by the hub, checked by installer/install.sh. */
import { z } from 'zod';

/** `uname -m` calls `linux-x64` x86_64. */
export const ReleaseTarget = z.enum(['linux-x64', 'linux-arm64']);
export type ReleaseTarget = z.infer<typeof ReleaseTarget>;

/** As in semver.org, but without build metadata, because it becomes part of file and folder names. */
export const ReleaseVersion = z.string().regex(/^\d{1,5}\.\d{1,5}\.\d{1,5}(?:-[0-9A-Za-z.-]{1,40})?$/);

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const ReleaseFile = z.object({
  /** Name of a file beside the manifest, without a path. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$/),
  bytes: z.int().min(0),
  sha256: Sha256,
});
export type ReleaseFile = z.infer<typeof ReleaseFile>;

export const ReleaseManifest = z.object({
  version: ReleaseVersion,
  /** ed25519, base64 of its DER SubjectPublicKeyInfo (RFC 8410): checks SHA256SUMS.sig. */
  publicKey: z.string().regex(/^[A-Za-z0-9+/]{59}=$/),
  /** The newest version of the hub-agent protocol that the release speaks. */
  protocol: z.int().min(1).default(1),
  /** Everything in the folder except the manifest itself. */
  files: z.array(ReleaseFile).min(1).max(100),
});
export type ReleaseManifest = z.infer<typeof ReleaseManifest>;

/** In each archive: the key that its host trusts from then on. It is signed too, so a release may name the next key. */
export const ReleaseOrigin = ReleaseManifest.pick({ version: true, publicKey: true, protocol: true }).extend({
  /** Where releases are published, without trailing slash; empty: nowhere, they come only from hubs and folders. */
  url: z.union([z.literal(''), z.url({ protocol: /^https?$/ })]),
});
export type ReleaseOrigin = z.infer<typeof ReleaseOrigin>;

export const ORIGIN_FILE = 'origin.json';
export const MANIFEST_FILE = 'release.json';
/** Checksums of the archives and the list of components, in `sha256sum` format. */
export const SUMS_FILE = 'SHA256SUMS';
/** Raw ed25519 signature (RFC 8032) of {@link SUMS_FILE}, 64 bytes. */
export const SIGNATURE_FILE = 'SHA256SUMS.sig';
export const INSTALLER_FILE = 'install.sh';

export const archiveName = (version: string, target: ReleaseTarget): string => `orkestr-${version}-${target}.tar.xz`;

/**
 * Precedence as in semver.org (11).
 * @returns negative when `a` is older, 0 when both are the same, positive when it is newer
 */
export function compareVersions(a: string, b: string): number {
  const [[coreA, preA], [coreB, preB]] = [partsOf(a), partsOf(b)];
  const byCore = compareLists(coreA, coreB);
  if (byCore !== 0) return byCore;
  // 1.0.0-rc.1 precedes 1.0.0.
  if (preA.length === 0 || preB.length === 0) return preB.length - preA.length;
  return compareLists(preA, preB);
}

function partsOf(version: string): [core: readonly string[], preRelease: readonly string[]] {
  const [core = '', ...rest] = version.split('-');
  return [core.split('.'), rest.length === 0 ? [] : rest.join('-').split('.')];
}

function compareLists(a: readonly string[], b: readonly string[]): number {
  for (const [index, one] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = compareIdentifiers(one, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Numbers compare by value and precede words; words compare by their bytes. */
function compareIdentifiers(a: string, b: string): number {
  const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumberA && isNumberB) return Number(a) - Number(b);
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}
