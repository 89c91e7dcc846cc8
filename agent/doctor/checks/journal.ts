/** The agent's journal, the record of deployments and of what is live. */
import { defineCheck } from '../check.ts';

const MANY_REPORTS = 10_000;

export const journal = defineCheck({
  name: 'journal',
  about: "The agent's journal is intact and has a version that this agent knows.",
  problems: {
    damaged: {
      level: 'fail',
      says: 'The journal {path} is damaged.',
      mend: 'Run `systemctl restart orkestr-agent`: it moves the file aside, starts a new journal and adopts the running apps. Then check the disk: `dmesg | tail -50`.',
    },
    newer: {
      level: 'fail',
      says: 'The journal {path} was written by a newer agent.',
      mend: 'Install the newer version again: `orkestr-agent upgrade`.',
    },
    'much-waits': {
      level: 'warn',
      says: '{count} reports are waiting for the hub.',
      mend: 'The agent sends them when the hub is reachable: see the check hub.',
    },
  },
  async gather(subject) {
    return { path: `${subject.config.stateFolder}/journal.sqlite`, read: await subject.journal() };
  },
  judge({ path, read }) {
    if (read === null) return { skipped: 'this state folder has no journal yet' };
    if ('unreadable' in read) {
      return {
        summary: 'not readable',
        findings: [{ problem: read.unreadable, values: { path }, evidence: [read.why] }],
      };
    }
    const { live, deployments, outbox } = read;
    return {
      summary: `${live.length} live, ${deployments.length} deployments remembered, ${outbox} reports wait`,
      findings: outbox > MANY_REPORTS ? [{ problem: 'much-waits', values: { count: outbox } }] : [],
    };
  },
});
