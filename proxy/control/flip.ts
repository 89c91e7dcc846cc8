/** What a flip request means for the current entry. Pure. */
import { OrkestrError } from '../../protocol/errors.ts';
import { isSameEdge, keepingProtocol } from '../../protocol/edge-order.ts';
import type { EdgeRequest, FlipBackRequest, FlipRequest, UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { isMove } from '../upstream/move.ts';

/** `replay`: nothing new. `amend`: other settings for what this flip has already applied. `apply`: a new flip. */
type FlipKind = 'replay' | 'amend' | 'apply';

/**
 * The compare of the compare-and-set.
 * @param current null when there is no such upstream
 * @throws OrkestrError ORK_GENERATION_STALE
 */
export function judgeFlip(current: UpstreamEntry | null, { entry, expectedGeneration }: FlipRequest): FlipKind {
  const generation = current?.generation ?? 0;
  // A sender that lost the answer repeats the flip with the generation that it expected then. Meanwhile its container
  // may have got another address, and its environment other settings.
  if (current !== null && isMove(current, entry)) {
    if (addressKey(current) !== addressKey(entry)) return 'apply';
    return isSameEdge(current, entry) ? 'replay' : 'amend';
  }
  if (expectedGeneration === generation && entry.generation > generation) return 'apply';
  throw staleGeneration(generation, expectedGeneration, entry.generation);
}

/**
 * The entry that a flip-back restores: the one before the last flip, under the current generation.
 * @throws OrkestrError ORK_CONFLICT when the last flip did not replace that target
 */
export function judgeFlipBack(
  { entry, before }: { readonly entry: UpstreamEntry; readonly before: UpstreamEntry | null },
  { targetId }: Pick<FlipBackRequest, 'targetId'>,
): UpstreamEntry | 'replay' {
  if (entry.targets[0]?.id === targetId) return 'replay';
  if (before?.targets[0]?.id !== targetId) {
    throw new OrkestrError(
      'ORK_CONFLICT',
      'The last flip did not replace this target, or the proxy was restarted since.',
      {
        evidence: [`before the last flip: ${before?.targets[0]?.id ?? 'nothing that is known'}`],
      },
    );
  }
  // Without its canary: that was a trial of the target that is now taken back.
  const { canary: _, ...served } = before;
  return { ...served, generation: entry.generation };
}

/** @param next the generation that the request wanted to set, if any */
export function staleGeneration(current: number, expected: number, next: number | null = null): OrkestrError {
  const set = next === null ? '' : `, to be set: ${next}`;
  return new OrkestrError('ORK_GENERATION_STALE', 'The upstream is not at the expected generation.', {
    evidence: [`generation in the table: ${current}`, `expected: ${expected}${set}`],
  });
}

/** The entry with new routes and settings, or itself if it has them already. The app's protocol stays. */
export function withEdge(entry: UpstreamEntry, { routes, edge }: Pick<EdgeRequest, 'routes' | 'edge'>): UpstreamEntry {
  if (isSameEdge(entry, { routes, edge })) return entry;
  return { ...entry, routes, edge: keepingProtocol({ edge }, entry) };
}

function addressKey({ targets }: UpstreamEntry): string {
  return targets
    .map(({ address, port }) => `${address}:${port}`)
    .toSorted()
    .join(' ');
}
