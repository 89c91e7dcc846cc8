/** Tells a flip from a repetition of the last one. */
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';

/**
 * Whether the last flip is applied again, with a container that may have a new address, or with other settings. What it
 * replaced, and the counts since then, stay.
 */
export function isMove(from: UpstreamEntry, to: UpstreamEntry): boolean {
  return from.generation === to.generation && from.targets[0]?.id === to.targets[0]?.id;
}
