/** What a base image is made of, as data. A new kind is one file in recipes/ and one line in recipes/index.ts. */

/** The release of Debian that all base images are. */
export const DEBIAN_RELEASE = 'trixie';

export interface BaseRecipe {
  readonly kind: string;
  /** Its line of versions, where a kind has recipes for several. */
  readonly version?: string;
  /** What it starts from: nothing (debootstrap) or the debian image. */
  readonly from: 'debootstrap' | 'debian';
  /** Where its packages are taken from before the release itself: `trixie-backports`. */
  readonly suite?: string;
  /** Debian packages, installed without their recommendations. */
  readonly packages: readonly string[];
  /** Files with a fixed text: path in the image → text. */
  readonly files?: Readonly<Record<string, string>>;
  /** Symbolic links: path in the image → where it leads. */
  readonly links?: Readonly<Record<string, string>>;
  /** Folders that every user may write to (mode 1777). */
  readonly openFolders?: readonly string[];
  /** Paths that are taken away after the packages are in. */
  readonly remove?: readonly string[];
  /** npm packages, each with the integrity (SRI) it must have. */
  readonly npmPackages?: readonly NpmPackage[];
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
  /** The only processor that it is for. */
  readonly cpu?: 'x64' | 'arm64';
  /** Paths in it that are taken; absent: all. */
  readonly only?: readonly string[];
  /** Folder of the image that it is unpacked to; absent: where `npm install --global` puts it. */
  readonly into?: string;
}

/** Where the CA bundle of the machine stands in every base image. */
export const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
