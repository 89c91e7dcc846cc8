/** Reports that the hub has not acknowledged. A large number is not this host's fault. */
import type { Check } from './check.ts';

export const outbox: Check = {
  name: 'outbox',
  async run({ agent }) {
    if (agent === null) return { level: 'down', summary: 'unknown: no agent answers', data: {} };
    return { level: 'ok', summary: `${agent.outbox} reports are waiting for the hub`, data: { waiting: agent.outbox } };
  },
};
