/** Our rules in the kernel's packet filter. */
import { defineCheck } from '../check.ts';
import { makeFirewall } from '../../firewall/firewall.ts';
import type { Firewall } from '../../firewall/firewall.ts';
import type { Subject } from '../subject.ts';

const LOOK_MS = 1000;

export const firewall = defineCheck({
  name: 'firewall',
  about:
    "Apps cannot reach the host's ports (with ORKESTR_APPS_REACH_EDGE=1: only 80 and 443) or the metadata service of the cloud: orkestr's chains come first in INPUT and FORWARD of the table mangle.",
  problems: {
    missing: {
      level: 'fail',
      says: "Firewall rules of orkestr are missing or differ: apps may reach the host's ports or the cloud's metadata service.",
      mend: 'Run `orkestr-agent doctor --fix`. A running agent does it within a minute; after a change of ORKESTR_APPS_REACH_EDGE, it has to be restarted.',
      fix: 'safe',
    },
  },
  async gather(subject) {
    const rules = rulesOf(subject, LOOK_MS);
    return rules === null ? null : rules.lacks();
  },
  judge(lacks) {
    if (lacks === null) return { skipped: 'this host has not joined a hub: there are no rules of ours' };
    return {
      summary: lacks.length === 0 ? 'all rules in place' : `${lacks.length} of our chains not in place`,
      findings: lacks.length === 0 ? [] : [{ problem: 'missing', evidence: lacks }],
    };
  },
  async fix(_finding, subject) {
    await rulesOf(subject)?.ensure();
    return 'the firewall rules are in place again';
  },
});

/** @param longestMs limit of each call: iptables itself waits long for its lock */
function rulesOf({ scope, exec, config }: Subject, longestMs = Infinity): Firewall | null {
  const known = scope();
  if (known === null) return null;
  return makeFirewall({
    scope: known,
    appsReachEdge: config.appsReachEdge,
    exec: (program, args, options) =>
      exec(program, args, { ...options, timeoutMs: Math.min(options.timeoutMs, longestMs) }),
  });
}
