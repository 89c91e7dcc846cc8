/** Rules of the older kind of iptables, beside those of the kind that this host uses now: both hold, and each program shows its own. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lib/exec.ts';
import { defineCheck, when } from '../check.ts';

const LOOK_MS = 1000;

export const legacyRules = defineCheck({
  name: 'legacy-rules',
  about:
    'No leftover rules of iptables-legacy block builds and apps from the internet. Such rules remain when a host changes to iptables-nft.',
  problems: {
    drops: {
      level: 'fail',
      says: 'Rules of iptables-legacy drop forwarded packets, although this host uses iptables-nft: builds and apps cannot reach the internet.',
      mend: 'Run `iptables-legacy -P FORWARD ACCEPT`. The program that set this will do so again at boot: `iptables-legacy-save` shows its rules.',
    },
  },
  async gather({ places, exec, has }, signal) {
    if (!has('iptables') || !has('iptables-legacy')) return null;
    // To ask iptables-legacy makes tables where there are none.
    const tables = (await readFile(join(places.proc, 'net/ip_tables_names'), 'utf8').catch(() => '')).split('\n'); // no such module
    if (!tables.includes('filter')) return null;
    const options = { timeoutMs: LOOK_MS, signal };
    const [used, legacy] = await Promise.all([
      run('iptables', ['-V'], options, exec),
      run('iptables-legacy', ['-w', '5', '-S', 'FORWARD'], options, exec),
    ]);
    return { used: used.stdout, rules: legacy.stdout };
  },
  judge(facts) {
    if (facts === null) return { skipped: 'there are none' };
    // Else they are those of Docker and of ours.
    if (!facts.used.includes('nf_tables')) return { skipped: 'this host uses iptables-legacy itself' };
    const [policy, ...rules] = facts.rules.trim().split('\n');
    const drops = policy === '-P FORWARD DROP' && !rules.includes('-A FORWARD -j ACCEPT');
    return { summary: `their ${policy}`, findings: when(drops, { problem: 'drops', evidence: [policy ?? ''] }) };
  },
});
