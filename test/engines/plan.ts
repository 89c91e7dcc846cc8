/** Instructions for a run in an engine's tree. */

/** How Docker Engine stores images: containerd's store is the default since Docker 29, the graph driver before. */
export const STORES = ['containerd', 'graph-driver'] as const;
export type Store = (typeof STORES)[number];

export interface Plan {
  readonly tree: string;
  readonly store: Store;
  /** An archive of `docker save`, below the repository. */
  readonly images: string;
  readonly files: readonly string[];
  /** Part of the names of the tests to run. Absent: all. */
  readonly tests?: string | undefined;
}

/** Where the engine keeps its data in the tree. */
export const dataFolder = (store: Store): string => `/var/lib/docker-${store}`;
