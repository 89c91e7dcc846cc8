/** The connection to the hub. Without it everything continues, except that no new jobs come. */
import { duration } from '../lib/duration.ts';
import { UNKNOWN } from './check.ts';
import type { Check } from './check.ts';

/** Two machines with one identity meet every few minutes. */
const TWICE_MS = 3_600_000;

/**
 * Whether another machine with this host's identity was connected lately. True also while this one is connected, as
 * they take turns.
 */
export const isTwice = (twiceAt: string | undefined, now: number): boolean =>
  now - Date.parse(twiceAt ?? '') < TWICE_MS;

export const hub: Check = {
  name: 'hub',
  async run({ agent, clock }) {
    if (agent === null) return UNKNOWN;
    if (agent.hub === null) {
      return { level: 'ok', summary: 'none: this host runs job files only', data: { enrolled: false } };
    }
    const { hubUrl, connected, since, lastError, lastContact, twiceAt } = agent.hub;
    const twice = isTwice(twiceAt, clock.now());
    const heard =
      lastContact === null ? 'never heard' : `last heard ${duration(clock.now() - Date.parse(lastContact))} ago`;
    return {
      level: connected && !twice ? 'ok' : 'degraded',
      summary: connected
        ? `connected to ${hubUrl} since ${since}, ${heard}`
        : `not connected to ${hubUrl} since ${since}, ${heard}${lastError === null ? '' : `: ${lastError}`}`,
      ...(twice && {
        details: ['another machine has the identity of this host: run `orkestr-agent doctor hub` to see what to do'],
      }),
      data: { enrolled: true, ...agent.hub },
    };
  },
};
