/** What a flip request means for the entry that stands. Pure. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { FlipRequest, UpstreamEntry } from '../../protocol/proxy-admin.ts';

/** Nothing new, or to be put in place. */
export type FlipKind = 'replay' | 'apply';

/**
 * Compare-and-set, without an effect.
 * @param current null when there is no such upstream
 * @throws OrkestrError ORK_GENERATION_STALE
 */
export function judgeFlip(current: UpstreamEntry | null, { entry, expectedGeneration }: FlipRequest): FlipKind {
  const generation = current?.generation ?? 0;
  // A sender that lost the answer sends the same flip again, with the generation that it expected then.
  if (current !== null && generation === entry.generation && releaseKey(current) === releaseKey(entry)) {
    return addressKey(current) === addressKey(entry) ? 'replay' : 'apply';
  }
  if (expectedGeneration === generation && entry.generation > generation) return 'apply';
  throw staleGeneration(generation, expectedGeneration, entry.generation);
}

export function staleGeneration(current: number, expected: number, next: number): OrkestrError {
  return new OrkestrError('ORK_GENERATION_STALE', 'The upstream is not at the generation that the flip expects.', {
    evidence: [`generation in the table: ${current}`, `expected: ${expected}, to be set: ${next}`],
  });
}

/** Everything but the addresses of the targets. */
function releaseKey({ targets, routes, edge }: UpstreamEntry): string {
  const places = routes.map(({ host, pathPrefix, stripPrefix = false }) => `${host}${pathPrefix} ${stripPrefix}`);
  return JSON.stringify([targets[0]?.id, places.toSorted(), edge]);
}

function addressKey({ targets }: UpstreamEntry): string {
  return targets
    .map(({ address, port }) => `${address}:${port}`)
    .toSorted()
    .join(' ');
}
