/** What an image holds, in a form that two engines agree on: graph drivers name it by its config, containerd's store by its manifest. */
import type { ImageInspectInfo } from 'dockerode';
import type { Engine } from '../lib/engine.ts';

type Inspected = Pick<ImageInspectInfo, 'Created' | 'Architecture' | 'Os'> & {
  readonly RootFS: { readonly Layers?: readonly string[] | undefined };
  readonly Config?: Partial<ImageInspectInfo['Config']> | null;
};

/** Equal for the same image on any engine: its layers, when it was made, and what a container of it does. */
export function contentOf({ Created, Architecture, Os, RootFS, Config }: Inspected): string {
  const { Env, Cmd, Entrypoint, User, WorkingDir, OnBuild } = Config ?? {};
  // Engines differ in whether they say nothing, null or an empty one.
  const settings = [Env, Cmd, Entrypoint, User, WorkingDir, OnBuild].map((one: unknown) =>
    one === undefined || one === '' || (Array.isArray(one) && one.length === 0) ? null : one,
  );
  return JSON.stringify([Created, Architecture, Os, RootFS.Layers ?? [], settings]);
}

/**
 * Whether containerd keeps its images: each layer under its own digest, and an image known by its manifest.
 * @param image of the engine, which most often tells it. Else the engine is asked, and runs programs for its answer
 */
export async function usesContainerdStore(
  engine: Engine,
  image?: Partial<Pick<ImageInspectInfo, 'GraphDriver'>>,
): Promise<boolean> {
  // No store of containerd's is called like that.
  if (image?.GraphDriver?.Name === 'overlay2') return false;
  const { DriverStatus: status } = await engine.call(
    'ask for its store',
    (docker) => docker.info() as Promise<{ DriverStatus?: readonly (readonly string[])[] | null }>,
  );
  return (status ?? []).flat().some((word) => word.startsWith('io.containerd.snapshotter'));
}
