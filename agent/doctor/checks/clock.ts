/**
 * The host's clock: its distance from the hub's, and its synchronization. Certificates, tokens and logs depend on it.
 */
import { run } from '../../lib/exec.ts';
import type { Exec } from '../../lib/exec.ts';
import { defineCheck, when } from '../check.ts';
import type { HubAnswer } from '../../host-facts/hub-answer.ts';

const SKEWED_SECONDS = 5;
const FAR_OFF_SECONDS = 120;
const LOOK_MS = 800;

const MEND = {
  apt: 'Run `timedatectl set-ntp true`. If systemd-timesyncd is missing, first run `apt-get install systemd-timesyncd`.',
  dnf: 'Run `systemctl enable --now chronyd`. If chronyd is missing, first run `dnf install chrony`.',
};

export const clock = defineCheck({
  name: 'clock',
  about: "The host's clock is synchronized and agrees with the hub's (by the Date header of its answers).",
  problems: {
    unkept: {
      level: 'warn',
      says: 'Nothing synchronizes the clock of this host: sooner or later, valid certificates and tokens will be rejected.',
      mend: MEND,
    },
    skewed: { level: 'warn', says: 'The clock of this host is {seconds} s {way} that of the hub.', mend: MEND },
    'far-off': {
      level: 'fail',
      says: 'The clock of this host is {seconds} s {way} that of the hub: valid certificates and tokens may be rejected.',
      mend: MEND,
    },
  },
  async gather(subject) {
    const [answer, isKept] = await Promise.all([subject.hub(), isSynchronised(subject.exec)]);
    return { answer, isKept };
  },
  judge({ answer, isKept }) {
    const unkept = when(isKept === false, { problem: 'unkept' });
    const synchronization = isKept === null ? [] : [isKept ? 'synchronized' : 'not synchronized'];
    const compared = compare(answer);
    if ('skipped' in compared) {
      return synchronization.length === 0 ? compared : { summary: synchronization.join(), findings: unkept };
    }
    const { seconds, way } = compared;
    const problem = seconds >= FAR_OFF_SECONDS ? 'far-off' : 'skewed';
    return {
      summary: [`${seconds} s from the hub's`, ...synchronization].join(', '),
      findings: [...unkept, ...when(seconds >= SKEWED_SECONDS, { problem, values: { seconds, way } })],
    };
  },
});

function compare(answer: HubAnswer | null): { readonly skipped: string } | { seconds: number; way: string } {
  if (answer === null) return { skipped: 'this host belongs to no hub to compare with' };
  if (!answer.reached || answer.skewMs === null) return { skipped: 'the hub does not send its time' };
  return {
    seconds: Math.round(Math.abs(answer.skewMs) / 1000),
    way: answer.skewMs > 0 ? 'behind' : 'ahead of',
  };
}

/**
 * The kernel's flag, set by the time service; the hub's own host has nothing else to check. Null: unknown to systemd.
 */
const isSynchronised = (exec: Exec): Promise<boolean | null> =>
  run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], { timeoutMs: LOOK_MS }, exec).then(
    ({ stdout }) => (stdout.trim() === '' ? null : stdout.trim() === 'yes'),
    () => null, // no systemd, or too busy to answer: report nothing that is not known
  );
