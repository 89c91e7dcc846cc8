/** The connection to the hub. Without it everything goes on; only new jobs do not come. */
import { duration } from '../lib/duration.ts';
import type { Check } from './check.ts';

export const hub: Check = {
  name: 'hub',
  async run({ agent, clock }) {
    if (agent === null) return { level: 'down', summary: 'unknown: no agent answers', data: {} };
    if (agent.hub === null) {
      return { level: 'ok', summary: 'none: this host runs job files only', data: { enrolled: false } };
    }
    const { hubUrl, connected, since, lastError, lastContact } = agent.hub;
    const heard =
      lastContact === null ? 'never heard' : `last heard ${duration(clock.now() - Date.parse(lastContact))} ago`;
    return {
      level: connected ? 'ok' : 'degraded',
      summary: connected
        ? `connected to ${hubUrl} since ${since}, ${heard}`
        : `not connected to ${hubUrl} since ${since}, ${heard}${lastError === null ? '' : `: ${lastError}`}`,
      data: { enrolled: true, ...agent.hub },
    };
  },
};
