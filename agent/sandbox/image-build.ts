/** One build: with BuildKit in the sandbox, and from there to the host's engine or a registry. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Image } from '../../protocol/steps.ts';
import type { BuildRequest, StepLog } from '../deployment/ports.ts';
import { type Engine, orNull } from '../lib/engine.ts';
import { LABEL, ownerLabels } from '../lib/labels.ts';
import { together } from '../lib/together.ts';
import { dropImage } from '../registry/drop-image.ts';
import { pushImage } from '../registry/push.ts';
import { supplyImages } from './base-images.ts';
import type { BuiltStep } from './build-log.ts';
import { describeSummary, summarize } from './build-summary.ts';
import type { ImageBuilderOptions } from './builder.ts';
import { type Dockerfile, readDockerfile } from './dockerfile/dockerfile.ts';
import { howToSet } from './dockerfile/mounts.ts';
import type { EngineVersion } from './daemon.ts';
import { withEgress } from './egress/build-egress.ts';
import { readStoredImage } from './handoff/layer-store.ts';
import { type EarlyLoad, earlyLoad, type Load } from './load.ts';
import { compareRebuild, describeRebuild, supplyKept } from './rebuild.ts';
import type { SandboxLease } from './sandbox.ts';
import { solve } from './solve.ts';
import { type Transfer, transferImage } from './transfer.ts';

const PRUNE_TIMEOUT_MS = 5 * 60_000;
/** Images of the environment, the newest first, whose layers a new one may share. */
const LOOKED_AT = 2;

/** @throws OrkestrError ORK_DOCKERFILE_REFUSED, and what a build and its hand-over throw */
export async function buildIn(
  lease: SandboxLease,
  options: ImageBuilderOptions,
  request: BuildRequest,
): Promise<Image> {
  const load = earlyLoad(options.engine, request.reference, request.signal);
  try {
    return await buildWith(lease, load, options, request);
  } finally {
    load.drop();
  }
}

async function buildWith(
  lease: SandboxLease,
  load: EarlyLoad,
  options: ImageBuilderOptions,
  request: BuildRequest,
): Promise<Image> {
  const { reference, signal, log, limits, owner, registries, again } = request;
  const began = performance.now();
  // Unless a registry has it first, which may take as long as it likes.
  const onExport = (): void => (request.push === undefined ? load.begin() : undefined);
  const dockerfile = dockerfileOf(lease.version, request);
  const { projectId } = owner;
  const supply = { host: options.engine, sandbox: lease.engine, projectId, registries, log, signal };
  const kept = again === undefined ? {} : await supplyKept(supply, dockerfile.images, again.image);
  const others = dockerfile.images.filter((name) => !Object.hasOwn(kept, name));
  const baseImages = { ...kept, ...(await supplyImages(supply, others)) };
  const labels = { ...ownerLabels(options.scope, owner), [LABEL.baseImages]: JSON.stringify(baseImages) };
  const [steps, baseDigests, earlier] = await together(
    withEgress(lease.network, request.buildHosts, log, (proxyArguments) =>
      solve(lease, request, { dockerfile, labels, proxyArguments, onExport }),
    ),
    // Known before the build ends: nobody is to wait for them then.
    digestsOf(lease.engine, Object.keys(baseImages)),
    options.imagesOf(options.engine).list(owner.environmentId),
  );
  const [peakMemoryBytes, madeBy] = await Promise.all([
    // Without a RUN of its own the group may still hold what an earlier one left in the page cache.
    steps.some(isRun) ? lease.cgroup.peakMemory() : null,
    again === undefined ? [] : commandsOf(lease.engine, reference),
  ]);
  const alike = [...earlier.slice(0, LOOKED_AT).map(({ id }) => id), ...Object.values(baseImages)];
  const { found, registryReference, transfer } = await deliver(lease, load.begun(), options, request, alike);
  const summary = summarize(steps, transfer, performance.now() - began);
  const made = { ...found, reference, baseImages, baseDigests, peakMemoryBytes, summary };
  const image = registryReference === undefined ? made : { ...made, registryReference };
  for (const line of describeSummary(summary, image, limits.memoryMiB, request.forElsewhere ? 'registry' : 'host'))
    log.line(line);
  if (again === undefined) return image;
  const rebuild = compareRebuild(again.deploymentId, again.image, image, madeBy);
  for (const line of describeRebuild(rebuild)) log.line(line);
  return { ...image, rebuild };
}

/** A command that ran, and was not taken from the cache. */
const isRun = ({ name, cached }: BuiltStep): boolean => !cached && /^\[[^\]]*\] RUN /.test(name);

/** By which those base images that came from a registry are had from it again. */
async function digestsOf(sandbox: Engine, names: readonly string[]): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const name of names) {
    const info = await orNull(sandbox.call(`inspect image ${name}`, (docker) => docker.getImage(name).inspect()));
    const [digest] = info?.RepoDigests ?? [];
    if (digest !== undefined) digests[name] = digest;
  }
  return digests;
}

/** What made each layer; empty where the layers cannot be read. */
const commandsOf = async (sandbox: Engine, reference: string): Promise<readonly string[]> =>
  (await readStoredImage(sandbox, reference))?.layers.map(({ madeBy }) => madeBy) ?? [];

interface Delivered {
  readonly found: Image;
  /** Absent: it was not pushed. */
  readonly registryReference?: string;
  readonly transfer: Transfer;
}

/**
 * Gives the image to its registry and to the host, as far as it is for them, and takes its name off the sandbox: the layers stay
 * in the build cache, which is bounded.
 * @param load what the host has begun with
 * @param alike images of the host whose layers it may share
 */
async function deliver(
  lease: SandboxLease,
  load: Load | undefined,
  options: ImageBuilderOptions,
  request: BuildRequest,
  alike: readonly string[],
): Promise<Delivered> {
  const { reference, signal, log, registries, push, forElsewhere = false } = request;
  const { engine: sandbox } = lease;
  // A name that stays is replaced by its next build.
  const dropName = (): Promise<void> => dropImage(sandbox, reference);
  try {
    const pushed =
      push === undefined ? null : await pushImage(sandbox, { ...push, image: reference, registries, log, signal });
    const transfer = forElsewhere
      ? { layers: pushed?.layers ?? null, sentBytes: 0 }
      : await transferImage(sandbox, options.engine, reference, signal, { log, alike, load });
    const found = await options.imagesOf(forElsewhere ? sandbox : options.engine).find(reference);
    if (found === null) throw new OrkestrError('ORK_SANDBOX', 'Docker Engine accepted the image but does not have it.');
    // The container can start meanwhile: an engine takes its time, the more the larger the image is.
    lease.afterwards(dropName);
    return { found, transfer, ...(pushed !== null && { registryReference: pushed.reference }) };
  } catch (error) {
    await dropName(); // first: layers of an image stay in the cache
    if (error instanceof OrkestrError && error.code === 'ORK_IMAGE_DAMAGED') await emptyCache(sandbox, log);
    throw error;
  }
}

/** A damaged layer would come out of the cache again with every build. */
async function emptyCache(sandbox: Engine, log: StepLog): Promise<void> {
  try {
    await sandbox.call('empty the build cache', (docker) => docker.pruneBuilder(), { timeoutMs: PRUNE_TIMEOUT_MS });
    log.line('The build cache was cleared');
  } catch (error) {
    // Why the build failed is more than why this did.
    log.line(`The build cache could not be cleared: ${String(error)}`);
  }
}

/** What is built, after every check that needs no engine but its version. @throws OrkestrError ORK_DOCKERFILE_REFUSED */
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
