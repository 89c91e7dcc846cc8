/** Reports that the hub has not acknowledged. A large number is not this host's fault. */
import { UNKNOWN } from './check.ts';
import type { Check } from './check.ts';

export const outbox: Check = {
  name: 'outbox',
  async run({ agent, remembered }) {
    const waiting = agent?.outbox ?? remembered?.outbox;
    if (waiting === undefined) return UNKNOWN;
    const summary = `${waiting} reports are waiting for the hub`;
    return agent === null
      ? { level: 'down', summary: `no agent answers; in its journal, ${summary}`, data: { waiting } }
      : { level: 'ok', summary, data: { waiting } };
  },
};
