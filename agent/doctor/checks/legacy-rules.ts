/** Rules of iptables-legacy beside those of iptables-nft: both apply, but each program shows only its own. */
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
    // Asking iptables-legacy creates its tables where there are none.
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
    // Otherwise they are Docker's and ours.
    if (!facts.used.includes('nf_tables')) return { skipped: 'this host uses iptables-legacy itself' };
    const [policy, ...rules] = facts.rules.trim().split('\n');
    const drops = policy === '-P FORWARD DROP' && !rules.includes('-A FORWARD -j ACCEPT');
    return { summary: `their ${policy}`, findings: when(drops, { problem: 'drops', evidence: [policy ?? ''] }) };
  },
});
