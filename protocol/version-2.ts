/** Converts messages for peers that speak protocol 2. To be removed with the support for protocol 2. */
import type { AgentMessage, HubMessage } from './agent-link.ts';

/** Messages that came with protocol 3. */
const LATER: ReadonlySet<string> = new Set([
  'edge',
  'edge-state',
  'app-log',
  'app-log-credit',
  'app-log-close',
  'app-log-chunk',
  'app-log-end',
]);

/** The message for a protocol 2 peer, which ignores unknown fields and codes; null: it has no such message. */
export const toVersion2 = <M extends HubMessage | AgentMessage>(message: M): M | null =>
  LATER.has(message.type) ? null : message;
