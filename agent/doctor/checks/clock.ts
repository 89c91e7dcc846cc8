/** The host's clock against the hub's: certificates, tokens and times in logs depend on it. */
import { defineCheck } from '../check.ts';

const SKEWED_SECONDS = 5;
const FAR_OFF_SECONDS = 120;

const MEND = {
  apt: '`timedatectl set-ntp true`; without systemd-timesyncd first `apt-get install systemd-timesyncd`.',
  dnf: '`systemctl enable --now chronyd`; without it first `dnf install chrony`.',
};

export const clock = defineCheck({
  name: 'clock',
  about: "The host's clock agrees with the hub's (by the Date header of its answer).",
  problems: {
    skewed: { level: 'warn', says: 'The clock of this host is {seconds} s {way} that of the hub.', mend: MEND },
    'far-off': {
      level: 'fail',
      says: 'The clock of this host is {seconds} s {way} that of the hub: certificates and tokens are judged wrongly.',
      mend: MEND,
    },
  },
  gather: (subject) => subject.hub(),
  judge(answer) {
    if (answer === null) return { skipped: 'this host belongs to no hub to compare with' };
    if (!answer.reached || answer.skewMs === null) return { skipped: 'the hub tells no time' };
    const seconds = Math.round(Math.abs(answer.skewMs) / 1000);
    const values = { seconds, way: answer.skewMs > 0 ? 'behind' : 'ahead of' };
    const problem = seconds >= FAR_OFF_SECONDS ? 'far-off' : 'skewed';
    return {
      summary: `${seconds} s from the hub's`,
      findings: seconds >= SKEWED_SECONDS ? [{ problem, values }] : [],
    };
  },
});
