/**
 * Versions of the protocol between hub and agent. Each side speaks this version and the one before (docs/protocol.md): an
 * agent tells in its hello which it can, the hub chooses the newest that both know and says so in its welcome.
 */
import type { AgentMessage, HubMessage } from './agent-link.ts';
import { OrkestrError } from './errors.ts';
import { toVersion2 } from './version-2.ts';

export const PROTOCOL_VERSION = 3;
export const OLDEST_PROTOCOL = 2;

/** What a peer can speak, both ends included. */
interface SpokenVersions {
  readonly oldest: number;
  readonly newest: number;
}

/** What an agent says in its hello; one that names no newest speaks one version. */
export const spokenBy = (hello: {
  readonly protocol: number;
  readonly newest?: number | undefined;
}): SpokenVersions => ({
  oldest: hello.protocol,
  newest: hello.newest ?? hello.protocol,
});

/**
 * The newest version that this hub and the agent know.
 * @throws OrkestrError ORK_PROTOCOL_AGENT_OLD, ORK_PROTOCOL_HUB_OLD
 */
export function agreeWithAgent(agent: SpokenVersions): number {
  const facts = `The hub speaks protocol ${OLDEST_PROTOCOL} to ${PROTOCOL_VERSION}, the agent ${rangeOf(agent)}.`;
  if (agent.newest < OLDEST_PROTOCOL) throw new OrkestrError('ORK_PROTOCOL_AGENT_OLD', `${facts} Upgrade the agent.`);
  if (agent.oldest > PROTOCOL_VERSION) throw new OrkestrError('ORK_PROTOCOL_HUB_OLD', `${facts} Upgrade the hub.`);
  return Math.min(agent.newest, PROTOCOL_VERSION);
}

const rangeOf = ({ oldest, newest }: SpokenVersions): string =>
  oldest === newest ? String(oldest) : `${oldest} to ${newest}`;

/** Whether a version that a hub has chosen is one that this agent speaks. */
export const isSpoken = (protocol: number): boolean => protocol >= OLDEST_PROTOCOL && protocol <= PROTOCOL_VERSION;

/** The message in the version that the peer speaks; null: that version has no such message, so it is not sent. */
export const inVersion = <M extends HubMessage | AgentMessage>(message: M, protocol: number): M | null =>
  protocol >= 3 ? message : toVersion2(message);
