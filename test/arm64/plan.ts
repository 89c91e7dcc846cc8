/** What the process inside of the namespaces is told. */
export interface Plan {
  /** Of Debian for arm64. */
  readonly tree: string;
  /** Scratch of this run, at the same path in the tree. */
  readonly folder: string;
  /** Files of the release, and its archive unpacked; both below `folder`. */
  readonly release: string;
  readonly unpacked: string;
  readonly version: string;
}
