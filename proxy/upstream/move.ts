/** What is no flip of its own. */
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';

/**
 * Whether the same flip comes once more, with a container that may have another address by now, or with other settings: what
 * it replaced, and what counts since, stays.
 */
export function isMove(from: UpstreamEntry, to: UpstreamEntry): boolean {
  return from.generation === to.generation && from.targets[0]?.id === to.targets[0]?.id;
}
