/** Summary of a finished build, for its log and its image. */
import type { BuildSummary, Image } from '../../../protocol/steps.ts';
import { humanSize, MIB } from '../../../protocol/size.ts';
import type { BuiltStep } from '../progress/build-log.ts';
import type { Transfer } from '../handoff/transfer.ts';

const SLOWEST = 3;
/** Faster commands are never listed among the slowest. */
const SLOW_SECONDS = 0.5;
const MAX_NAME_CHARACTERS = 200;

/** @param ms duration of the whole build, including preparation and handover */
export function summarize(steps: readonly BuiltStep[], transfer: Transfer, ms: number): BuildSummary {
  const slow = steps.filter(({ seconds }) => seconds >= SLOW_SECONDS).toSorted((a, b) => b.seconds - a.seconds);
  return {
    ms: Math.round(ms),
    steps: steps.length,
    cached: steps.filter(({ cached }) => cached).length,
    slowest: slow
      .slice(0, SLOWEST)
      .map(({ name, seconds }) => ({ name: name.slice(0, MAX_NAME_CHARACTERS), ms: Math.round(seconds * 1000) })),
    layers: transfer.layers,
    sentBytes: transfer.sentBytes,
  };
}

/** The last lines of the log. @param where destination of the layers */
export function describeSummary(
  summary: BuildSummary,
  image: Image,
  memoryMiB: number,
  where: 'host' | 'registry' = 'host',
): string[] {
  const { ms, steps, cached, slowest, layers, sentBytes } = summary;
  const sent = humanSize(sentBytes);
  return [
    `built in ${inSeconds(ms)}: ${steps} steps, ${cached} of them from the cache`,
    ...slowest.map((step) => `  ${inSeconds(step.ms).padStart(8)}  ${step.name}`),
    layers === null
      ? `image ${humanSize(image.bytes)}, handed over whole: ${sent}`
      : `image ${humanSize(image.bytes)} of ${layers.all} layers, ${layers.sent} of them new ${where === 'host' ? `on this host: ${sent}` : 'in the registry'}`,
    ...(image.peakMemoryBytes === null
      ? []
      : [`peak memory ${humanSize(image.peakMemoryBytes)} of ${humanSize(memoryMiB * MIB)}`]),
  ];
}

const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
