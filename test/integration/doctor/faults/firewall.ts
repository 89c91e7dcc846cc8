/** Faults in the rules of orkestr, of Docker and of the owner, and what the doctor must report. */
import { CHECKS } from '../../../../agent/doctor/checks/index.ts';
import { mend } from '../../../../agent/doctor/fix.ts';
import type { Fault } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'a firewall chain of ours was flushed',
    async inject(host, undo) {
      undo(() => mend(host.subject(), { checks: CHECKS, confirmed: false }));
      await host.inside('iptables', ['-w', '5', '-t', 'mangle', '-F', `ORKESTR-${host.scope}`], { timeoutMs: 10_000 });
    },
    finds: ['firewall/missing'],
    mend: /doctor --fix/,
    tells: /has 0 of 2 rules/,
  },
  {
    name: 'a firewall rule of ours accepts packets that it should drop',
    async inject(host, undo) {
      undo(() => mend(host.subject(), { checks: CHECKS, confirmed: false }));
      const rule = [`ORKESTR-${host.scope}`, '2', '-j', 'ACCEPT'];
      await host.inside('iptables', ['-w', '5', '-t', 'mangle', '-R', ...rule], { timeoutMs: 10_000 });
    },
    finds: ['firewall/missing'],
    mend: /doctor --fix/,
    tells: /has "-j ACCEPT" where "-j DROP" belongs/,
  },
  {
    name: "the owner lets apps reach the host's ports 80 and 443, and the agent's rules do not",
    inject: () => ({ config: { appsReachEdge: true } }),
    finds: ['firewall/missing'],
    mend: /doctor --fix/,
    tells: /has 2 of 4 rules/,
  },
  {
    name: "Docker's firewall rules were flushed by hand, or by a restart of nftables",
    async inject(host, undo) {
      const options = { timeoutMs: 10_000 };
      const { stdout: input } = await host.inside('iptables-save', [], options);
      undo(() => host.inside('iptables-restore', [], { ...options, input }));
      await host.inside('iptables', ['-w', '5', '-t', 'nat', '-F'], options);
    },
    finds: ['docker-rules/missing'],
    mend: /`systemctl restart docker`/,
    tells: /masquerades 1\S+\/\d+/,
  },
  {
    name: 'ufw blocks visitors',
    async inject(host, undo) {
      const iptables = (...args: string[]): Promise<unknown> =>
        host.inside('iptables', ['-w', '5', ...args], { timeoutMs: 10_000 });
      undo(() => iptables('-P', 'INPUT', 'ACCEPT'));
      undo(() => iptables('-X', 'ufw-user-input'));
      await iptables('-N', 'ufw-user-input');
      await iptables('-P', 'INPUT', 'DROP');
    },
    finds: ['host-firewall/ufw'],
    mend: /`ufw allow \d+\/tcp`/,
  },
];
