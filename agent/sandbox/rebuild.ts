/** Rebuilds a release whose image is gone, from its original base images if available, and compares the result. */
import type { Image, Rebuild } from '../../protocol/steps.ts';
import { orNull } from '../lib/engine.ts';
import { type Supply, supplyImages } from './base-images.ts';
import { isPinned, nameParts } from './image-name.ts';
import { transferImage } from './transfer.ts';

const MAX_DIFFERENCES = 20;
const MAX_COMMAND_CHARACTERS = 120;

/**
 * Makes the exact base images that `kept` was built from available in the sandbox under their names. Returns those
 * found, name → id; a missing name is no longer available in that version.
 */
export async function supplyKept(
  supply: Supply,
  names: readonly string[],
  kept: Pick<Image, 'baseImages' | 'baseDigests'>,
): Promise<Record<string, string>> {
  const had: Record<string, string> = {};
  for (const name of names) {
    const id = kept.baseImages[name];
    if (id === undefined || isPinned(name)) continue; // a digest fixes the version, wherever the image comes from
    if (await supplyVersion(supply, name, id, kept.baseDigests?.[name])) had[name] = id;
    else supply.log.line(`The base image ${name} is no longer available in the version used before (${short(id)})`);
  }
  return had;
}

async function supplyVersion(supply: Supply, name: string, id: string, digest: string | undefined): Promise<boolean> {
  const { host, sandbox, log, signal } = supply;
  if (!(await has(sandbox, id))) {
    if (await has(host, id)) {
      log.line(`Taking base image ${name} as it was (${short(id)}) from this host`);
      await transferImage(host, sandbox, id, signal, { as: name, log });
      return true;
    }
    if (digest === undefined || !(await pulled(supply, digest)) || !(await has(sandbox, id))) return false;
  }
  const { repository, tag } = nameParts(name);
  await sandbox.call(`name image ${name}`, (docker) => docker.getImage(id).tag({ repo: repository, tag }));
  return true;
}

const has = async (engine: Supply['host'], id: string): Promise<boolean> =>
  (await orNull(engine.call(`look for image ${id}`, (docker) => docker.getImage(id).inspect()))) !== null;

/** A registry may delete old versions: this is not a failure, since the build then takes and reports the newer one. */
async function pulled(supply: Supply, digest: string): Promise<boolean> {
  try {
    await supplyImages(supply, [digest]);
    return true;
  } catch (error) {
    supply.log.line(`${digest} cannot be pulled: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

/** How `image` differs from `kept`. @param madeBy commands behind its layers, as far as known */
export function compareRebuild(deploymentId: string, kept: Image, image: Image, madeBy: readonly string[]): Rebuild {
  const differences = [
    ...baseDifferences(kept, image),
    ...layerDifferences(kept.layers, image.layers ?? [], madeBy),
    ...settingDifferences(kept, image),
  ];
  const identical = differences.length === 0;
  return { of: deploymentId, identical, differences: differences.slice(0, MAX_DIFFERENCES) };
}

/** Lines for the build log. */
export function describeRebuild({ of, identical, differences }: Rebuild): string[] {
  if (identical) return [`identical to the image of deployment ${of}`];
  return [`not identical to the image of deployment ${of}:`, ...differences.map((one) => `  ${one}`)];
}

function baseDifferences(kept: Image, image: Image): string[] {
  const names = [...new Set([...Object.keys(kept.baseImages), ...Object.keys(image.baseImages)])].sort();
  return names.flatMap((name) => {
    const [was, is] = [kept.baseImages[name], image.baseImages[name]];
    return was === is ? [] : [`base image ${name}: was ${short(was)}, now ${short(is)}`];
  });
}

function layerDifferences(
  kept: readonly string[] | undefined,
  layers: readonly string[],
  madeBy: readonly string[],
): string[] {
  if (kept === undefined) return ['layers: an older version of orkestr built the release and did not keep them'];
  const count = kept.length === layers.length ? [] : [`${layers.length} layers, was ${kept.length}`];
  const changed = layers.flatMap((layer, at) => {
    if (at >= kept.length || kept[at] === layer) return [];
    const command = madeBy[at] ? `: ${commandOf(madeBy[at])}` : '';
    return [`layer ${at + 1} of ${layers.length}${command}`];
  });
  return [...count, ...changed];
}

function settingDifferences(kept: Image, image: Image): string[] {
  const [was, is] = [kept, image].map(({ exposedPorts }) => exposedPorts.join(', ') || 'none');
  return [
    ...(was === is ? [] : [`exposed ports: was ${was}, now ${is}`]),
    ...(kept.hasHealthcheck === image.hasHealthcheck ? [] : ['the HEALTHCHECK']),
  ];
}

/** BuildKit records "RUN /bin/sh -c npm ci # buildkit". */
function commandOf(madeBy: string): string {
  const text = madeBy.replace(/ # buildkit$/, '').replace(/^RUN \/bin\/sh -c /, 'RUN ');
  return text.slice(0, MAX_COMMAND_CHARACTERS);
}

const short = (id: string | undefined): string => (id === undefined ? 'none' : id.slice(0, 'sha256:'.length + 12));
