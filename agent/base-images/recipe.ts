/** Recipes of base images, as data. A new kind takes a file in recipes/ and a line in recipes/index.ts. */

/** The Debian release of all base images. */
export const DEBIAN_RELEASE = 'trixie';

export interface BaseRecipe {
  readonly kind: string;
  /** Its version line, for kinds with recipes for several. */
  readonly version?: string;
  /** Based on nothing (debootstrap) or on the debian image. */
  readonly from: 'debootstrap' | 'debian';
  /** Suite preferred over the release itself for its packages: `trixie-backports`. */
  readonly suite?: string;
  /** Debian packages, installed without their recommendations. */
  readonly packages: readonly string[];
  /** Files with a fixed text: path in the image → text. */
  readonly files?: Readonly<Record<string, string>>;
  /** Symbolic links: path in the image → target. */
  readonly links?: Readonly<Record<string, string>>;
  /** Folders that every user may write to (mode 1777). */
  readonly openFolders?: readonly string[];
  /** Paths removed after the packages are installed. */
  readonly remove?: readonly string[];
  /** npm packages, each with its required integrity (SRI). */
  readonly npmPackages?: readonly NpmPackage[];
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
  /** The only processor architecture that it is for. */
  readonly cpu?: 'x64' | 'arm64';
  /** Paths to unpack; absent: all. */
  readonly only?: readonly string[];
  /** Folder of the image to unpack into; absent: where `npm install --global` would. */
  readonly into?: string;
}

/** Path of the machine's CA bundle in every base image. */
export const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
