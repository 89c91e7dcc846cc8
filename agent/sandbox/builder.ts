/** The port ImageBuilder: an image that is there already, or a build in a slot of the sandbox. */
import { z } from 'zod';
import type { Image } from '../../protocol/steps.ts';
import type { BuildRequest, ImageBuilder, ImageStore } from '../deployment/ports.ts';
import { type Engine, orNull } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';
import type { Sandbox } from './sandbox.ts';

const BaseImageIds = z.record(z.string(), z.string());

export interface ImageBuilderOptions {
  readonly scope: string;
  /** The host's engine. */
  readonly engine: Engine;
  readonly imagesOf: (engine: Engine) => Pick<ImageStore, 'find' | 'list'>;
  readonly sandbox: Sandbox;
}

export function makeImageBuilder(options: ImageBuilderOptions): ImageBuilder {
  return {
    warm: (request) => options.sandbox.warm(request),
    async build(request) {
      // Whether its push was done as well nobody knows; building again finds all of it in the cache.
      const earlier = request.push === undefined ? await findEarlier(options, request) : null;
      if (earlier !== null) {
        request.log.line('The image is on this host already: an earlier build had finished.');
        return earlier;
      }
      const { limits, log, signal, owner } = request;
      // Not in memory while nobody builds.
      const { buildIn } = await import('./image-build.ts');
      return options.sandbox.use({ environmentId: owner.environmentId, limits, log, signal }, (lease) =>
        buildIn(lease, options, request),
      );
    },
  };
}

/** An image of this very deployment that an interrupted build left behind. */
async function findEarlier(options: ImageBuilderOptions, { reference, owner }: BuildRequest): Promise<Image | null> {
  const info = await orNull(
    options.engine.call('look for an earlier image', (docker) => docker.getImage(reference).inspect()),
  );
  const labels = info?.Config.Labels ?? {};
  if (labels[LABEL.scope] !== options.scope || labels[LABEL.deployment] !== owner.deploymentId) return null;
  const image = await options.imagesOf(options.engine).find(reference);
  const baseImages = BaseImageIds.parse(JSON.parse(labels[LABEL.baseImages] ?? '{}'));
  return image === null ? null : { ...image, reference, baseImages };
}
