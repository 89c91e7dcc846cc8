import type { ReleaseTarget } from '../../protocol/release.ts';

/** Instructions for the process inside the namespaces. */
export interface Plan {
  /** A Debian for arm64. */
  readonly tree: string;
  /** Scratch folder of this run, at the same path in the tree. */
  readonly folder: string;
  /** Files of the release, and its unpacked archive; both below `folder`. */
  readonly release: string;
  readonly unpacked: string;
  readonly version: string;
  /** How it was made. */
  readonly keyFile: string;
  readonly target: ReleaseTarget;
  readonly preset: number;
}
