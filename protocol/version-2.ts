/** Protocol 2 as its peers read it, for speaking to one of them. It goes when protocol 2 is spoken no more. */
import type { AgentMessage, HubMessage } from './agent-link.ts';

/** What came with protocol 3. */
const LATER: ReadonlySet<string> = new Set([
  'edge',
  'edge-state',
  'app-log',
  'app-log-credit',
  'app-log-close',
  'app-log-chunk',
  'app-log-end',
]);

/** The message as protocol 2 says it; null: it has no such message. Fields and codes that it does not know are passed over there. */
export const toVersion2 = <M extends HubMessage | AgentMessage>(message: M): M | null =>
  LATER.has(message.type) ? null : message;
