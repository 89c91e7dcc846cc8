/** The address at which a host reaches its hub, and its change. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Clock } from '../deployment/ports.ts';
import { askHub } from '../host-facts/hub-answer.ts';
import { readIdentity, storeIdentity } from './identity.ts';

const ANSWER_MS = 15_000;

/**
 * The same hub at another address: its key stays pinned, so another hub there is refused.
 * @throws OrkestrError ORK_CONFIG without a hub, ORK_INVALID, ORK_HUB_UNREACHABLE; nothing has changed then
 */
export async function moveHub(stateFolder: string, url: string, clock: Clock): Promise<{ from: string; to: string }> {
  const identity = hubOf(stateFolder);
  const to = originOf(url);
  const answer = await askHub(to, clock, ANSWER_MS);
  const why = answer.reached ? `status ${answer.status}` : answer.message;
  if (!answer.reached || answer.status !== 200) {
    throw new OrkestrError('ORK_HUB_UNREACHABLE', `No hub answers at ${to} (${why}). Nothing was changed.`);
  }
  storeIdentity(stateFolder, { ...identity, hub: { ...identity.hub, url: to } });
  return { from: identity.hub.url, to };
}

/** The identity of a host with a hub. @throws OrkestrError ORK_CONFIG without one */
export function hubOf(stateFolder: string) {
  const identity = readIdentity(stateFolder);
  if (!identity?.hub) throw new OrkestrError('ORK_CONFIG', `ORKESTR_AGENT_STATE: ${stateFolder} belongs to no hub.`);
  return { ...identity, hub: identity.hub };
}

function originOf(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin;
  throw new OrkestrError('ORK_INVALID', `"${text}" is not a valid hub address: give scheme, host and port only.`);
}
