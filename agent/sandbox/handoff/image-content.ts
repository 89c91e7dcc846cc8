/** What an image holds, comparable across engines: graph drivers name it by config, containerd by manifest. */
import type { ImageInspectInfo } from 'dockerode';
import type { Engine } from '../../lib/engine.ts';

type Inspected = Pick<ImageInspectInfo, 'Created' | 'Architecture' | 'Os'> & {
  readonly RootFS: { readonly Layers?: readonly string[] | undefined };
  readonly Config?: Partial<ImageInspectInfo['Config']> | null;
};

/** Equal for the same image on any engine: its layers, creation time and container settings. */
export function contentOf({ Created, Architecture, Os, RootFS, Config }: Inspected): string {
  const { Env, Cmd, Entrypoint, User, WorkingDir, OnBuild } = Config ?? {};
  // Engines variously omit an unset value, or return null or an empty one.
  const settings = [Env, Cmd, Entrypoint, User, WorkingDir, OnBuild].map((one: unknown) =>
    one === undefined || one === '' || (Array.isArray(one) && one.length === 0) ? null : one,
  );
  return JSON.stringify([Created, Architecture, Os, RootFS.Layers ?? [], settings]);
}

/**
 * Whether the engine uses containerd's image store, with layers under their own digests and images by manifest.
 * @param image an image of the engine, which usually answers it. Else the engine is queried, and runs programs for that
 */
export async function usesContainerdStore(
  engine: Engine,
  image?: Partial<Pick<ImageInspectInfo, 'GraphDriver'>>,
): Promise<boolean> {
  // The containerd snapshotter is named "overlayfs".
  if (image?.GraphDriver?.Name === 'overlay2') return false;
  const { DriverStatus: status } = await engine.call(
    'ask for its store',
    (docker) => docker.info() as Promise<{ DriverStatus?: readonly (readonly string[])[] | null }>,
  );
  return (status ?? []).flat().some((word) => word.startsWith('io.containerd.snapshotter'));
}
