/** Packet filter rules of Docker Engine. It sets them only when it starts, so removed rules stay removed. */
import { run } from '../../lib/exec.ts';
import { LABEL } from '../../lib/labels.ts';
import { defineCheck, when } from '../check.ts';

const LOOK_MS = 1000;
/** Enough for a host with tens of thousands of rules. */
const MAX_RULES_BYTES = 16_777_216;

export const dockerRules = defineCheck({
  name: 'docker-rules',
  about:
    'The packet filter rules of Docker Engine are in place: they let apps reach the internet, and keep apps of different projects apart.',
  problems: {
    missing: {
      level: 'fail',
      says: 'Rules of Docker Engine were removed: apps may have lost access to the internet, and may reach apps of other projects.',
      mend: 'Run `systemctl restart docker` to set them again; with live-restore, apps keep running meanwhile. Then find what removed them, or it will happen again: usually a restart of nftables, `iptables -F`, or `"iptables": false` in /etc/docker/daemon.json.',
    },
  },
  async gather({ engine, exec, has, scope }) {
    const [{ FirewallBackend }, networks] = await Promise.all([engine.info(), engine.networks()]);
    // iptables does not show the rules of Docker's nftables backend.
    if (!has('iptables') || FirewallBackend.Driver.startsWith('nftables')) return null;
    const ours = networks.filter(({ Labels }) => Labels?.[LABEL.scope] === scope());
    const rulesOf = async (...args: readonly string[]): Promise<readonly string[]> => {
      const options = { timeoutMs: LOOK_MS, maxOutputBytes: MAX_RULES_BYTES };
      return (await run('iptables', ['-w', '5', ...args], options, exec)).stdout.split('\n');
    };
    const [forward, nat] = await Promise.all([rulesOf('-S', 'FORWARD'), rulesOf('-t', 'nat', '-S', 'POSTROUTING')]);
    const all = ours.flatMap(({ IPAM }) => (IPAM.Config ?? []).map(({ Subnet }) => Subnet));
    const subnets = all.filter((subnet) => !subnet.includes(':'));
    return { forward, nat, subnets };
  },
  judge(facts) {
    if (facts === null) return { skipped: 'Docker Engine does not set its rules by iptables here' };
    const { forward, nat, subnets } = facts;
    if (subnets.length === 0) return { skipped: 'no project has a network yet' };
    const unmasked = subnets.filter((subnet) => !nat.some((rule) => isMasquerade(rule, subnet)));
    const evidence = [
      ...unmasked.map((subnet) => `no rule in POSTROUTING of the table nat masquerades ${subnet}`),
      ...(forward.some((rule) => rule.includes(' -j DOCKER-')) ? [] : ['no rule in FORWARD leads to chains of Docker']),
    ];
    return {
      summary: evidence.length === 0 ? `in place for ${subnets.join(', ')}` : 'not in place',
      findings: when(evidence.length > 0, { problem: 'missing', evidence }),
    };
  },
});

const isMasquerade = (rule: string, subnet: string): boolean =>
  rule.startsWith(`-A POSTROUTING -s ${subnet} `) && rule.endsWith(' -j MASQUERADE');
