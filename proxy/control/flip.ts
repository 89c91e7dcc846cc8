/** What a flip request means for the entry that stands. Pure. */
import { OrkestrError } from '../../protocol/errors.ts';
import { isSameEdge, keepingProtocol } from '../../protocol/edge-order.ts';
import type { EdgeRequest, FlipBackRequest, FlipRequest, UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { isMove } from '../upstream/move.ts';

/** Nothing new; other settings for what this very flip has put in place; or to be put in place. */
type FlipKind = 'replay' | 'amend' | 'apply';

/**
 * Compare-and-set, without an effect.
 * @param current null when there is no such upstream
 * @throws OrkestrError ORK_GENERATION_STALE
 */
export function judgeFlip(current: UpstreamEntry | null, { entry, expectedGeneration }: FlipRequest): FlipKind {
  const generation = current?.generation ?? 0;
  // A sender that lost the answer sends the same flip again, with the generation that it expected then; by now its
  // container may have another address, and its environment other settings.
  if (current !== null && isMove(current, entry)) {
    if (addressKey(current) !== addressKey(entry)) return 'apply';
    return isSameEdge(current, entry) ? 'replay' : 'amend';
  }
  if (expectedGeneration === generation && entry.generation > generation) return 'apply';
  throw staleGeneration(generation, expectedGeneration, entry.generation);
}

/**
 * What a way back leads to: the entry before the last flip, under the generation of now.
 * @throws OrkestrError ORK_CONFLICT when the last flip did not come from that target
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
  // Without its canary, which was to show what is taken back now.
  const { canary: _, ...served } = before;
  return { ...served, generation: entry.generation };
}

/** @param next the generation that was to be set, if any */
export function staleGeneration(current: number, expected: number, next: number | null = null): OrkestrError {
  const set = next === null ? '' : `, to be set: ${next}`;
  return new OrkestrError('ORK_GENERATION_STALE', 'The upstream is not at the expected generation.', {
    evidence: [`generation in the table: ${current}`, `expected: ${expected}${set}`],
  });
}

/** The entry with new routes and settings; itself when it has them already. What the app speaks is its own. */
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
