/** The last upgrade of this host: how it ended, and that none is left halfway. */
import { existsSync } from 'node:fs';
import { layoutAt, linkedVersion } from '../../upgrade/layout.ts';
import { isEnded, readUpgrade, upgradeLine } from '../../upgrade/record.ts';
import type { Upgrade } from '../../upgrade/record.ts';
import { defineCheck, when } from '../check.ts';

/** One that did not work is news for a day; after that its owner knows, ms. */
const NEWS_MS = 86_400_000;
/** The longest silence of one that works: fetching a file. */
const SILENT_MS = 11 * 60_000;

export const upgrade = defineCheck({
  name: 'upgrade',
  about: 'The last upgrade came to an end, and to a good one.',
  problems: {
    halfway: {
      level: 'fail',
      says: 'The upgrade to {version} stopped halfway, {minutes} minutes ago: {doing}.',
      mend: '`systemctl restart orkestr-upgrade` goes on with it; `journalctl -u orkestr-upgrade -n 50 --no-pager` says why it stopped.',
    },
    stuck: {
      level: 'fail',
      says: 'The upgrade to {version} failed, and {from} did not come up again.',
      mend: 'Mend what the other checks name; then `systemctl restart orkestr-agent`.',
    },
    'not-well-since': {
      level: 'warn',
      says: 'The agent does not answer, and orkestr {version} came in the place of {from} {minutes} minutes ago.',
      mend: '`orkestr-agent upgrade --version {from} --allow-downgrade` goes back: {from} is kept. Why: `journalctl -u orkestr-agent -n 50 --no-pager`.',
    },
    'taken-back': {
      level: 'warn',
      says: 'The upgrade to {version} did not work: {from} runs.',
      mend: 'Mend what the evidence names and upgrade again: `orkestr-agent upgrade`.',
    },
  },
  async gather(subject) {
    const { record, upgrader, previous } = layoutAt(subject.places.root);
    const away = typeof (await subject.agent()) === 'string';
    return {
      last: readUpgrade(record),
      linked: existsSync(upgrader),
      previous: linkedVersion(previous),
      away,
      now: subject.clock.now(),
    };
  },
  judge({ last, linked, previous, away, now }) {
    if (last === null) return { skipped: 'this host was never upgraded' };
    const { from, version, doing, state, error } = last;
    const age = now - Date.parse(last.changedAt);
    const values = { from, version, doing, minutes: Math.round(age / 60_000) };
    const evidence = error === null ? [] : [`${error.code}: ${error.message}`, ...error.evidence];
    const stuck = isStuck(last);
    // It was healthy for a minute, which not every fault needs to show.
    const isSuspect = state === 'healthy' && away && previous === from && age < NEWS_MS;
    const bad = ['failed', 'reverted'].includes(state) && age < NEWS_MS;
    return {
      summary: upgradeLine(last),
      findings: [
        ...when(!isEnded(last) && (!linked || age > SILENT_MS), { problem: 'halfway', values }),
        ...when(stuck && age < NEWS_MS, { problem: 'stuck', values, evidence }),
        ...when(isSuspect, { problem: 'not-well-since', values }),
        ...when(bad && !stuck, { problem: 'taken-back', values, evidence }),
      ],
    };
  },
});

const isStuck = ({ state, error }: Upgrade): boolean => state === 'failed' && error?.code === 'ORK_UPGRADE_STUCK';
