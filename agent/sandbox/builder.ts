/** The port ImageBuilder: builds with BuildKit in the sandbox and hands the image to the host's engine. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Image } from '../../protocol/steps.ts';
import type { BuildRequest, ImageBuilder, ImageStore } from '../deployment/ports.ts';
import { type Engine, orNull } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';
import { supplyImages } from './base-images.ts';
import { type Dockerfile, readDockerfile } from './dockerfile/dockerfile.ts';
import type { Sandbox, SandboxLease } from './sandbox.ts';
import { solve } from './solve.ts';
import { transferImage } from './transfer.ts';

const MIB = 1_048_576;
const BaseImageIds = z.record(z.string(), z.string());

export interface ImageBuilderOptions {
  readonly scope: string;
  /** The host's engine. */
  readonly engine: Engine;
  readonly images: ImageStore;
  readonly sandbox: Sandbox;
}

export function makeImageBuilder(options: ImageBuilderOptions): ImageBuilder {
  return {
    async build(request) {
      const earlier = await findEarlier(options, request);
      if (earlier !== null) {
        request.log.line('The image is on this host already: an earlier build had finished.');
        return earlier;
      }
      return options.sandbox.use(request.limits, request.signal, (lease) => buildIn(lease, options, request));
    },
  };
}

async function buildIn(lease: SandboxLease, options: ImageBuilderOptions, request: BuildRequest): Promise<Image> {
  const { reference, signal, log, limits, owner, registries } = request;
  const dockerfile = await dockerfileOf(lease.engine, request);
  const baseImages = await supplyImages(
    { host: options.engine, sandbox: lease.engine, projectId: owner.projectId, registries, log, signal },
    dockerfile.images,
  );
  await solve(lease, options.scope, request, dockerfile, baseImages);
  const peakMemoryBytes = await lease.cgroup.peakMemory();
  if (peakMemoryBytes !== null) {
    log.line(`Peak memory ${Math.round(peakMemoryBytes / MIB)} MiB of ${limits.memoryMiB} MiB`);
  }
  log.line('Handing the image to the host');
  await transferImage(lease.engine, options.engine, reference, signal);
  // The layers stay in the build cache, which the engine bounds. A name that stays is replaced by its next build.
  await lease.engine
    .call('drop the handed-over image', (docker) => docker.getImage(reference).remove())
    .catch(() => undefined);
  const image = await options.images.find(reference);
  if (image === null) throw new OrkestrError('ORK_SANDBOX', 'The host took the image and does not have it.');
  return { ...image, reference, baseImages, peakMemoryBytes };
}

/** What is built, after every check that needs no engine but its version. */
async function dockerfileOf(sandbox: Engine, { plan, secrets, owner, log }: BuildRequest): Promise<Dockerfile> {
  const engine = await sandbox.call('ask for its version', (docker) => docker.version());
  const dockerfile = readDockerfile({
    text: plan.dockerfile.text,
    origin: plan.dockerfile.origin,
    engineVersion: engine.Version,
    architecture: engine.Arch,
    environmentId: owner.environmentId,
    secrets: Object.keys(secrets),
    buildArgs: plan.buildArgs ?? {},
    target: plan.target,
  });
  for (const { name, line } of dockerfile.secrets) {
    if (!Object.hasOwn(secrets, name)) log.line(`Line ${line} asks for the build secret ${name}, which is not set.`);
  }
  return dockerfile;
}

/** An image of this very deployment that an interrupted build left behind. */
async function findEarlier(options: ImageBuilderOptions, { reference, owner }: BuildRequest): Promise<Image | null> {
  const info = await orNull(
    options.engine.call('look for an earlier image', (docker) => docker.getImage(reference).inspect()),
  );
  const labels = info?.Config.Labels ?? {};
  if (labels[LABEL.scope] !== options.scope || labels[LABEL.deployment] !== owner.deploymentId) return null;
  const image = await options.images.find(reference);
  const baseImages = BaseImageIds.parse(JSON.parse(labels[LABEL.baseImages] ?? '{}'));
  return image === null ? null : { ...image, reference, baseImages };
}
