/** The port ImageBuilder: takes an existing image, or builds one in a slot of the sandbox. */
import { z } from 'zod';
import type { Image } from '../../../protocol/steps.ts';
import type { BuildRequest, Clock, ImageBuilder } from '../../deployment/ports.ts';
import { orNull } from '../../lib/engine.ts';
import { LABEL } from '../../lib/labels.ts';
import { AskedTags } from '../supply/asked-tags.ts';
import type { Sandbox } from '../sandbox.ts';
import type { BuildOptions } from './image-build.ts';

const BaseImageIds = z.record(z.string(), z.string());

interface ImageBuilderOptions extends Omit<BuildOptions, 'askedTags'> {
  readonly sandbox: Sandbox;
  readonly clock: Pick<Clock, 'now'>;
}

export function makeImageBuilder(options: ImageBuilderOptions): ImageBuilder {
  const askedTags = new AskedTags(() => options.clock.now());
  return {
    warm: (request) => options.sandbox.warm(request),
    async build(request) {
      // With a push, it is unknown whether the earlier build got that far; building again is all cached.
      const earlier = request.push === undefined ? await findEarlier(options, request) : null;
      if (earlier !== null) {
        request.log.line('The image is on this host already: an earlier build had finished.');
        return earlier;
      }
      const { limits, log, signal, owner } = request;
      // Imported late, to keep it out of memory until the first build.
      const { buildIn } = await import('./image-build.ts');
      return options.sandbox.use({ environmentId: owner.environmentId, limits, log, signal }, (slot) =>
        buildIn(slot, { ...options, askedTags }, request),
      );
    },
  };
}

/** The image of this same deployment that an interrupted build left behind. */
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
