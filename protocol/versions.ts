/**
 * Versions of the protocol between hub and agent. Each side speaks this version and the one before (docs/protocol.md).
 * An agent's hello names the versions that it speaks; the hub's welcome names the newest that both know.
 */
import type { AgentMessage, HubMessage } from './agent-link.ts';
import { OrkestrError } from './errors.ts';
import { toVersion2 } from './version-2.ts';

export const PROTOCOL_VERSION = 3;
export const OLDEST_PROTOCOL = 2;

/** First version in which an agent knows the feature. */
export const SINCE = {
  appLogs: 3,
  /** Without it, the next deployment applies changed edge settings. */
  edgeOrders: 3,
  /** Without it, an agent refuses a job with the health check "running". */
  workers: 3,
} as const;

/** The versions that a peer speaks, both ends included. */
interface SpokenVersions {
  readonly oldest: number;
  readonly newest: number;
}

/** The versions named in an agent's hello; an agent that names no newest speaks only one. */
export const spokenBy = (hello: {
  readonly protocol: number;
  readonly newest?: number | undefined;
}): SpokenVersions => ({
  oldest: hello.protocol,
  newest: hello.newest ?? hello.protocol,
});

/**
 * Returns the newest version that this hub and the agent know.
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

/** Whether this agent speaks the version that a hub has chosen. */
export const isSpoken = (protocol: number): boolean => protocol >= OLDEST_PROTOCOL && protocol <= PROTOCOL_VERSION;

/** The message in the peer's version; null: that version has no such message, so do not send it. */
export const inVersion = <M extends HubMessage | AgentMessage>(message: M, protocol: number): M | null =>
  protocol >= 3 ? message : toVersion2(message);
