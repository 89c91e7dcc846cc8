/** The owner's nftables rules: a packet that they drop cannot be accepted by any rule of ours or of Docker's. */
import { run } from '../../lib/exec.ts';
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import { closedChains, readRules } from '../nft-rules.ts';
import type { Chain, Rules } from '../nft-rules.ts';

const LOOK_MS = 1000;
/** Enough for a host with tens of thousands of rules; `-t` leaves out the elements of its sets. */
const MAX_RULES_BYTES = 16_777_216;
/** Name prefixes of the bridges of projects, and of the interfaces of builds (docs/isolation.md). */
const APPS = 'ork';
const BUILDS = 'ob';
const KEEP =
  'Then add the same rules to the file that defines the chain (/etc/nftables.conf). Do not restart nftables: that removes the rules of Docker.';

export const nftables = defineCheck({
  name: 'nftables',
  about: 'Your nftables rules let visitors in on 80 and 443, and builds and apps out.',
  problems: {
    visitors: {
      level: 'warn',
      says: 'The nftables chain {chain} drops connections to {ports}: visitors are blocked.',
      mend: `Run \`nft 'insert rule {family} {table} {chain} tcp dport {{ports}} accept'\`. ${KEEP}`,
    },
    outwards: {
      level: 'fail',
      says: 'The nftables chain {chain} drops forwarded packets: builds and apps cannot reach the internet.',
      mend: `Run \`nft 'insert rule {family} {table} {chain} iifname "${APPS}*" accept; insert rule {family} {table} {chain} iifname "${BUILDS}*" accept; insert rule {family} {table} {chain} ct state established,related accept'\`. ${KEEP}`,
    },
    builds: {
      level: 'warn',
      says: 'The nftables chain {chain} drops traffic from builds with an allow-list to the proxy that they use to reach the internet.',
      mend: `Run \`nft 'insert rule {family} {table} {chain} iifname "${BUILDS}*" accept'\` (orkestr's own rules still block every other port). ${KEEP}`,
    },
  },
  async gather({ places, exec, has }, signal) {
    if (!has('nft')) return null;
    const options = { timeoutMs: LOOK_MS, maxOutputBytes: MAX_RULES_BYTES, signal };
    return run('nft', ['-j', '-t', 'list', 'ruleset'], options, exec).then(
      ({ stdout }) => ({ rules: readRules(stdout), ports: places.ports }),
      () => null, // a kernel without nftables, or an nft without JSON: report nothing that is not known
    );
  },
  judge(facts) {
    if (facts === null) return { skipped: 'nft is not on this host, or lists no rules' };
    const { rules, ports } = facts;
    const findings = [...closedToVisitors(rules, ports), ...closedOutwards(rules), ...closedToBuilds(rules)];
    const chains = new Set(findings.map(({ evidence }) => evidence?.[0]));
    return { summary: chains.size === 0 ? 'no rules in the way' : `in the way: ${[...chains].join(', ')}`, findings };
  },
});

type NftFinding = Finding<'visitors' | 'outwards' | 'builds'>;

const detailsOf = ({ family, table, name }: Chain): Pick<NftFinding, 'values' | 'evidence'> & { values: object } => ({
  values: { family, table, chain: name },
  evidence: [`${family} ${table} ${name}`],
});

function closedToVisitors(rules: Rules, ports: readonly number[]): NftFinding[] {
  const closed = Map.groupBy(
    ports.flatMap((port) => closedChains(rules, { hook: 'input', from: null, port }).map((chain) => ({ chain, port }))),
    ({ chain }) => chain,
  );
  return [...closed].map(([chain, some]) => {
    const about = detailsOf(chain);
    return {
      problem: 'visitors',
      ...about,
      values: { ...about.values, ports: some.map(({ port }) => port).join(',') },
    };
  });
}

function closedOutwards(rules: Rules): NftFinding[] {
  const closed = [APPS, BUILDS].flatMap((from) => closedChains(rules, { hook: 'forward', from, port: null }));
  return [...new Set(closed)].map((chain) => ({ problem: 'outwards', ...detailsOf(chain) }));
}

const closedToBuilds = (rules: Rules): NftFinding[] =>
  closedChains(rules, { hook: 'input', from: BUILDS, port: null }).map((chain) => ({
    problem: 'builds',
    ...detailsOf(chain),
  }));
