/** Reports that the hub has not acknowledged. Many of them are no fault of this host. */
import type { Check } from './check.ts';

export const outbox: Check = {
  name: 'outbox',
  async run({ agent }) {
    if (agent === null) return { level: 'down', summary: 'unknown: no agent answers', data: {} };
    return { level: 'ok', summary: `${agent.outbox} reports are waiting for the hub`, data: { waiting: agent.outbox } };
  },
};
