/** The port ImageBuilder: builds with BuildKit in the sandbox and hands the image to the host's engine. */
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Image } from '../../protocol/steps.ts';
import type { BuildRequest, ImageBuilder, ImageStore } from '../deployment/ports.ts';
import { type Engine, orNull } from '../lib/engine.ts';
import { LABEL, ownerLabels } from '../lib/labels.ts';
import { supplyImages } from './base-images.ts';
import { makeBuildLog } from './build-log.ts';
import { makeStatusDecoder } from './build-status.ts';
import { packContext } from './context.ts';
import { type Dockerfile, readDockerfile } from './dockerfile.ts';
import { readAnswer } from './engine-answer.ts';
import { explainFailure } from './failure.ts';
import type { Sandbox, SandboxLease } from './sandbox.ts';
import { transferImage } from './transfer.ts';

const MIB = 1_048_576;
/** The engine's own deadline lies behind ours, which tells whose time ran out. */
const DEADLINE_MARGIN_MS = 30_000;
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
      const dockerfile = readDockerfile(request.plan.dockerfile.text);
      return options.sandbox.use(request.limits, request.signal, (lease) =>
        buildIn(lease, options, request, dockerfile),
      );
    },
  };
}

async function buildIn(
  lease: SandboxLease,
  options: ImageBuilderOptions,
  request: BuildRequest,
  dockerfile: Dockerfile,
): Promise<Image> {
  const { reference, signal, log, limits } = request;
  const baseImages = await supplyImages(
    { host: options.engine, sandbox: lease.engine, log, signal },
    dockerfile.images,
  );
  await runBuild(lease, options.scope, request, dockerfile, baseImages);
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

async function runBuild(
  { engine, cgroup }: SandboxLease,
  scope: string,
  request: BuildRequest,
  dockerfile: Dockerfile,
  baseImages: Readonly<Record<string, string>>,
): Promise<void> {
  const { limits, log } = request;
  const decode = await makeStatusDecoder();
  const buildLog = makeBuildLog(log);
  const timeLimit = AbortSignal.timeout(limits.timeoutSeconds * 1000);
  const context = contextOf(request, dockerfile);
  const query = {
    // As a number: for the string dockerode would open a gRPC session, which it never closes when a build is cancelled.
    // Sessions carry registry credentials and secrets; all base images are here already.
    version: 2 as unknown as '2',
    t: request.reference,
    dockerfile: request.plan.dockerfile.path,
    networkmode: 'default',
    labels: { ...ownerLabels(scope, request.owner), [LABEL.baseImages]: JSON.stringify(baseImages) },
  };
  try {
    const built = { imageId: null as string | null };
    const { error } = await engine.call(
      'build an image',
      async (docker, abortSignal) =>
        readAnswer(await docker.buildImage(context, { ...query, abortSignal }), ({ id, aux }) => {
          if (id === 'moby.buildkit.trace' && typeof aux === 'string') buildLog.take(decode(aux));
          if (id === 'moby.image.id' && typeof aux === 'object') built.imageId = aux.ID ?? null;
        }),
      {
        timeoutMs: limits.timeoutSeconds * 1000 + DEADLINE_MARGIN_MS,
        signal: AbortSignal.any([request.signal, timeLimit]),
      },
    );
    if (error !== null) throw explainFailure(error, buildLog.failed(), await cgroup.oomKills(), limits);
    if (built.imageId === null)
      throw new OrkestrError('ORK_SANDBOX', 'The build engine ended in the middle of the build.');
  } catch (error) {
    await cgroup.killAll(); // BuildKit ends a cancelled RUN within seconds; this ends it now
    throw classify(error, request, timeLimit);
  } finally {
    context.destroy();
  }
}

function classify(error: unknown, request: BuildRequest, timeLimit: AbortSignal): unknown {
  if (request.signal.aborted) return new OrkestrError('ORK_CANCELLED', 'The build was cancelled.');
  if (timeLimit.aborted) {
    const seconds = request.limits.timeoutSeconds;
    return new OrkestrError('ORK_BUILD_TIMEOUT', `The build did not end within its limit of ${seconds} s.`);
  }
  const code = error instanceof OrkestrError ? error.code : undefined;
  if (code !== undefined && code !== 'ORK_ENGINE_UNREACHABLE' && code !== 'ORK_ENGINE_TIMEOUT') return error;
  // The engine in question is the sandbox's, not the host's.
  const evidence = [error instanceof Error ? error.message : String(error)];
  return new OrkestrError('ORK_SANDBOX', 'The build engine failed during the build.', { evidence, cause: error });
}

function contextOf(request: BuildRequest, dockerfile: Dockerfile): Readable {
  const { plan, contextDirectory } = request;
  const files = new Map(plan.files.map(({ path, text }) => [path, text]));
  files.set(plan.dockerfile.path, dockerfile.text);
  return packContext({ directory: contextDirectory, dockerfilePath: plan.dockerfile.path, files });
}
