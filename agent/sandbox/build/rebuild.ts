/** How the rebuilt image of a release differs from the one that is gone. */
import type { Image, Rebuild } from '../../../protocol/steps.ts';
import { shortId } from '../handoff/image-name.ts';

const MAX_DIFFERENCES = 20;
const MAX_COMMAND_CHARACTERS = 120;

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
    return was === is ? [] : [`base image ${name}: was ${shown(was)}, now ${shown(is)}`];
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

const shown = (id: string | undefined): string => (id === undefined ? 'none' : shortId(id));
