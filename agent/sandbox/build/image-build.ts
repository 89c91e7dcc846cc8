/** One build: by BuildKit in the sandbox, then handed over to the host's engine or a registry. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Image } from '../../../protocol/steps.ts';
import type { BuildRequest, ImageStore, StepLog } from '../../deployment/ports.ts';
import { type Engine, orNull } from '../../lib/engine.ts';
import { LABEL, ownerLabels } from '../../lib/labels.ts';
import { together } from '../../lib/together.ts';
import { dropImage } from '../../registry/drop-image.ts';
import { pushImage } from '../../registry/push.ts';
import type { AskedTags } from '../supply/asked-tags.ts';
import { supplyKept } from '../supply/kept-images.ts';
import { supplyImages } from '../supply/supply.ts';
import type { BuiltStep } from '../progress/build-log.ts';
import { describeSummary, summarize } from './summary.ts';
import { type Dockerfile, readDockerfile } from '../dockerfile/dockerfile.ts';
import { howToSet } from '../dockerfile/mounts.ts';
import type { EngineVersion } from '../slot/daemon.ts';
import { withEgress } from '../egress/build-egress.ts';
import { readStoredImage } from '../handoff/layer-store.ts';
import { type EarlyLoad, earlyLoad, type Load } from '../handoff/load.ts';
import { compareRebuild, describeRebuild } from './rebuild.ts';
import type { HeldSlot } from '../slot/slot.ts';
import { solve } from './solve.ts';
import { type Transfer, transferImage } from '../handoff/transfer.ts';

const PRUNE_TIMEOUT_MS = 5 * 60_000;
/** Latest images of the environment to compare with: the new image may share layers with them. */
const LOOKED_AT = 2;

export interface BuildOptions {
  readonly scope: string;
  /** The host's engine. */
  readonly engine: Engine;
  readonly imagesOf: (engine: Engine) => Pick<ImageStore, 'find' | 'list'>;
  readonly askedTags: AskedTags;
}

/** @throws OrkestrError ORK_DOCKERFILE_REFUSED, and the errors of build and handover */
export async function buildIn(slot: HeldSlot, options: BuildOptions, request: BuildRequest): Promise<Image> {
  const load = earlyLoad(options.engine, request.reference, request.signal);
  try {
    return await buildWith(slot, load, options, request);
  } finally {
    load.drop();
  }
}

async function buildWith(
  slot: HeldSlot,
  load: EarlyLoad,
  options: BuildOptions,
  request: BuildRequest,
): Promise<Image> {
  const { reference, signal, log, limits, owner, registries, again } = request;
  const began = slot.clock.monotonic();
  // Not before a push to a registry, which may take any time.
  const onExport = (): void => (request.push === undefined ? load.begin() : undefined);
  const dockerfile = dockerfileOf(slot.version, request);
  const { projectId } = owner;
  const engines = { host: options.engine, sandbox: slot.engine };
  const supply = { ...engines, projectId, registries, log, signal, askedTags: options.askedTags };
  const kept = again === undefined ? {} : await supplyKept(supply, dockerfile.images, again.image);
  const others = dockerfile.images.filter((name) => !Object.hasOwn(kept, name));
  const baseImages = { ...kept, ...(await supplyImages(supply, others)) };
  const labels = { ...ownerLabels(options.scope, owner), [LABEL.baseImages]: JSON.stringify(baseImages) };
  const [steps, baseDigests, earlier] = await together(
    withEgress(slot.network, request.buildHosts, log, (proxyArguments) =>
      solve(slot, request, { dockerfile, labels, proxyArguments, onExport }),
    ),
    // Collected while the build runs, so that its end does not wait for them.
    digestsOf(slot.engine, Object.keys(baseImages)),
    options.imagesOf(options.engine).list(owner.environmentId),
  );
  const [peakMemoryBytes, madeBy] = await Promise.all([
    // Without a RUN of this build, the group may still count what an earlier build left in the page cache.
    steps.some(isRun) ? slot.cgroup.peakMemory() : null,
    again === undefined ? [] : commandsOf(slot.engine, reference),
  ]);
  const alike = [...earlier.slice(0, LOOKED_AT).map(({ id }) => id), ...Object.values(baseImages)];
  const { found, registryReference, transfer } = await deliver(slot, load.begun(), options, request, alike);
  const summary = summarize(steps, transfer, slot.clock.monotonic() - began);
  const made = { ...found, reference, baseImages, baseDigests, peakMemoryBytes, summary };
  const image = registryReference === undefined ? made : { ...made, registryReference };
  for (const line of describeSummary(summary, image, limits.memoryMiB, request.forElsewhere ? 'registry' : 'host'))
    log.line(line);
  if (again === undefined) return image;
  const rebuild = compareRebuild(again.deploymentId, again.image, image, madeBy);
  for (const line of describeRebuild(rebuild)) log.line(line);
  return { ...image, rebuild };
}

/** A RUN that was executed rather than taken from the cache. */
const isRun = ({ name, cached }: BuiltStep): boolean => !cached && /^\[[^\]]*\] RUN /.test(name);

/** Digests by which the base images that came from a registry can be pulled again. */
async function digestsOf(sandbox: Engine, names: readonly string[]): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const name of names) {
    const info = await orNull(sandbox.call(`inspect image ${name}`, (docker) => docker.getImage(name).inspect()));
    const [digest] = info?.RepoDigests ?? [];
    if (digest !== undefined) digests[name] = digest;
  }
  return digests;
}

/** The command behind each layer; empty if the layers cannot be read. */
const commandsOf = async (sandbox: Engine, reference: string): Promise<readonly string[]> =>
  (await readStoredImage(sandbox, reference))?.layers.map(({ madeBy }) => madeBy) ?? [];

interface Delivered {
  readonly found: Image;
  /** Absent if the image was not pushed. */
  readonly registryReference?: string;
  readonly transfer: Transfer;
}

/**
 * Hands the image to its registry and to the host, as requested, and removes its name from the sandbox. The layers stay
 * in the build cache, whose size is limited.
 * @param load the host's load, if it has already begun
 * @param alike images on the host whose layers it may share
 */
async function deliver(
  slot: HeldSlot,
  load: Load | undefined,
  options: BuildOptions,
  request: BuildRequest,
  alike: readonly string[],
): Promise<Delivered> {
  const { reference, signal, log, registries, push, forElsewhere = false } = request;
  const { engine: sandbox } = slot;
  // A name that was not removed is overwritten by the next build.
  const dropName = (): Promise<void> => dropImage(sandbox, reference);
  try {
    const pushed =
      push === undefined ? null : await pushImage(sandbox, { ...push, image: reference, registries, log, signal });
    const transfer = forElsewhere
      ? { layers: pushed?.layers ?? null, sentBytes: 0 }
      : await transferImage(sandbox, options.engine, reference, signal, { log, alike, load });
    const found = await options.imagesOf(forElsewhere ? sandbox : options.engine).find(reference);
    if (found === null) throw new OrkestrError('ORK_SANDBOX', 'Docker Engine accepted the image but does not have it.');
    // Deferred, since an engine takes longer for larger images: the container can start meanwhile.
    slot.afterwards(dropName);
    return { found, transfer, ...(pushed !== null && { registryReference: pushed.reference }) };
  } catch (error) {
    await dropName(); // first: layers of an image would stay in the cache
    if (error instanceof OrkestrError && error.code === 'ORK_IMAGE_DAMAGED') await emptyCache(sandbox, log);
    throw error;
  }
}

/** A damaged layer would come out of the cache again in every build. */
async function emptyCache(sandbox: Engine, log: StepLog): Promise<void> {
  try {
    await sandbox.call('empty the build cache', (docker) => docker.pruneBuilder(), { timeoutMs: PRUNE_TIMEOUT_MS });
    log.line('The build cache was cleared');
  } catch (error) {
    // The build's own failure matters more than this one.
    log.line(`The build cache could not be cleared: ${String(error)}`);
  }
}

/** The Dockerfile to build, after the checks that need no engine. @throws OrkestrError ORK_DOCKERFILE_REFUSED */
function dockerfileOf(engine: EngineVersion, { plan, secrets, owner, log }: BuildRequest): Dockerfile {
  const dockerfile = readDockerfile({
    text: plan.dockerfile.text,
    origin: plan.dockerfile.origin,
    engineVersion: engine.version,
    architecture: engine.architecture,
    environmentId: owner.environmentId,
    secrets: Object.keys(secrets),
    buildArgs: plan.buildArgs ?? {},
    target: plan.target,
  });
  for (const { name, line } of dockerfile.secrets) {
    if (Object.hasOwn(secrets, name)) continue;
    log.line(`Line ${line} asks for the build secret ${name}, which is not set. ${howToSet(name)}`);
  }
  return dockerfile;
}
