/** The last upgrade of this host: how it ended, and that it did not stop halfway. */
import { existsSync } from 'node:fs';
import { layoutAt, linkedVersion } from '../../upgrade/layout.ts';
import { isEnded, readUpgrade, upgradeLine } from '../../upgrade/record.ts';
import type { Upgrade } from '../../upgrade/record.ts';
import { defineCheck, when } from '../check.ts';

/** How long a failed upgrade is reported; after that its owner knows, ms. */
const NEWS_MS = 86_400_000;
/** The longest time without a change during a working upgrade: fetching a file. */
const SILENT_MS = 11 * 60_000;

export const upgrade = defineCheck({
  name: 'upgrade',
  about: 'The last upgrade finished successfully.',
  problems: {
    halfway: {
      level: 'fail',
      says: 'The upgrade to {version} stopped halfway, {minutes} minutes ago: {doing}.',
      mend: 'Run `systemctl restart orkestr-upgrade` to resume it; `journalctl -u orkestr-upgrade -n 50 --no-pager` shows why it stopped.',
    },
    stuck: {
      level: 'fail',
      says: 'The upgrade to {version} failed, and {from} did not start again.',
      mend: 'Fix the problems that the other checks report, then run `systemctl restart orkestr-agent`.',
    },
    'not-well-since': {
      level: 'warn',
      says: 'The agent does not answer, and orkestr {version} replaced {from} {minutes} minutes ago.',
      mend: 'Run `orkestr-agent upgrade --version {from} --allow-downgrade` to go back: {from} is still on this host. `journalctl -u orkestr-agent -n 50 --no-pager` shows what is wrong.',
    },
    'taken-back': {
      level: 'warn',
      says: 'The upgrade to {version} failed: {from} is running.',
      mend: 'Fix the problem that the evidence names, then upgrade again: `orkestr-agent upgrade`.',
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
    if (last === null) return { skipped: 'this host has never been upgraded' };
    const { from, version, doing, state, error } = last;
    const age = now - Date.parse(last.changedAt);
    const values = { from, version, doing, minutes: Math.round(age / 60_000) };
    const evidence = error === null ? [] : [`${error.code}: ${error.message}`, ...error.evidence];
    const stuck = isStuck(last);
    // It was healthy right after the switch, but some faults show only later.
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
