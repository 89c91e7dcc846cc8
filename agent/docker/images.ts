/** Implements ImageStore with Docker Engine. */
import type { ImageInfo, ImageInspectInfo } from 'dockerode';
import type { Image } from '../../protocol/steps.ts';
import type { ImageStore, OwnedImage } from '../deployment/ports.ts';
import { isOurImage, LABEL, namesOfOurs, pulledNames, pulledRepository } from '../lib/labels.ts';
import { type Engine, orNull } from '../lib/engine.ts';
import { removeUnusedImage } from './remove.ts';

export function makeImageStore(engine: Engine, { scope }: { readonly scope: string }): ImageStore {
  const look = (referenceOrId: string): Promise<ImageInspectInfo | null> =>
    orNull(engine.call(`inspect image ${referenceOrId}`, (docker) => docker.getImage(referenceOrId).inspect()));

  return {
    async find(referenceOrId) {
      const info = await look(referenceOrId);
      return info === null ? null : toImage(info, referenceOrId);
    },

    async isMadeHere(reference) {
      const info = await look(reference);
      return info?.Config.Labels?.[LABEL.baseRecipe] !== undefined;
    },

    async list(environmentId) {
      const label = [`${LABEL.scope}=${scope}`, `${LABEL.environment}=${environmentId}`];
      const list = (filters: Record<string, string[]>): Promise<ImageInfo[]> =>
        engine.call('list images', (docker, abortSignal) => docker.listImages({ filters, abortSignal }));
      const owned = [
        ...(await list({ label }))
          .filter(({ Labels, RepoTags }) => isOurImage(scope, Labels, RepoTags))
          .flatMap(builtHere),
        ...(await list({ reference: [pulledRepository(scope, environmentId)] })).flatMap((info) => pulled(info, scope)),
      ];
      // Deployment ids are UUIDv7, so they sort by time. `Created` is that of the last layer, which may be cached.
      return owned.sort((a, b) => (a.deploymentId < b.deploymentId ? 1 : -1));
    },

    async remove(imageId) {
      const info = await look(imageId);
      if (info === null || !isOurImage(scope, info.Config.Labels, info.RepoTags)) return false;
      const ours = namesOfOurs(scope, info.Config.Labels, info.RepoTags);
      const names = ours.length > 0 ? ours : [info.Id];
      for (const name of names) {
        if (!(await removeUnusedImage(engine, name))) return false;
      }
      return true;
    },
  };
}

function builtHere({ Id, RepoTags, Labels }: ImageInfo): OwnedImage[] {
  const deploymentId = Labels?.[LABEL.deployment];
  const reference = RepoTags?.find((tag) => tag.startsWith('orkestr/')) ?? Id;
  return deploymentId === undefined ? [] : [{ id: Id, reference, deploymentId }];
}

/** One entry for each deployment that pulled it. */
function pulled({ Id, RepoTags }: ImageInfo, scope: string): OwnedImage[] {
  return pulledNames(scope, RepoTags).map((reference) => ({
    id: Id,
    reference,
    deploymentId: reference.slice(reference.lastIndexOf(':') + 1),
  }));
}

function toImage(info: ImageInspectInfo, asked: string): Image {
  // Without tags, engines omit the field, or send null or an empty list.
  const names = (info.RepoTags as readonly string[] | null | undefined) ?? [];
  const exposed = Object.keys(info.Config.ExposedPorts ?? {}).filter((port) => !port.endsWith('/udp'));
  const healthcheck = info.Config.Healthcheck?.Test ?? [];
  return {
    id: info.Id,
    reference: names.includes(asked) ? asked : (names[0] ?? info.Id),
    bytes: info.Size,
    baseImages: {},
    peakMemoryBytes: null,
    exposedPorts: exposed.map((port) => Number.parseInt(port, 10)).sort((a, b) => a - b),
    hasHealthcheck: healthcheck.length > 0 && healthcheck[0] !== 'NONE',
    layers: info.RootFS.Layers ?? [],
  };
}
