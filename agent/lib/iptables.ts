/** Chains of our own in the kernel's packet filter, through the iptables programs (iptables-nft or iptables-legacy). */
import { access } from 'node:fs/promises';
import { type Exec, ExecError, run } from './exec.ts';
import { together } from './together.ts';

const TIMEOUT_MS = 15_000;
/** Prefix of the names of all chains of orkestr, including those of other agents. */
const OURS = 'ORKESTR-';
/** Enough for a host with tens of thousands of rules. */
const MAX_RULES_BYTES = 16_777_216;

type IpVersion = 4 | 6;
type Table = 'filter' | 'mangle' | 'nat';

/** A chain of ours: replaced as a whole, reached by one jump rule at the top of a built-in chain. */
export interface Chain {
  readonly version: IpVersion;
  readonly table: Table;
  readonly name: string;
  /** Matches and target of each rule, in order, preferably in the kernel's own words: those of `iptables -S`. */
  readonly rules: readonly (readonly string[])[];
  readonly jump: { readonly from: string; readonly match: readonly string[] };
}

interface ChainKeeper {
  /**
   * Sets chains to exactly these rules, and puts each jump at the top of its `from` if it is absent or, in `mangle`,
   * comes after a rule of others: only there no rule of others needs to come first. Writes nothing while the same
   * chains are wanted as last time and the kernel's output has not changed. Comparing is several times cheaper than
   * writing (in the kernel too, which swaps whole tables), and notices what somebody else removed or changed.
   */
  ensure(chains: readonly Chain[]): Promise<void>;
}

/** @param by runs the programs where the chains are, perhaps in another network namespace */
export function makeChainKeeper(by: Exec): ChainKeeper {
  const kept = new Map<IpVersion, { readonly wanted: string; readonly shown: string }>();

  const ensureOf = async (version: IpVersion, chains: readonly Chain[]): Promise<void> => {
    const wanted = JSON.stringify(chains);
    const there = await rulesOf(version, by);
    const last = kept.get(version);
    if (last?.wanted === wanted && last.shown === rulesAbout(chains, there) && areComplete(chains, there)) return;
    kept.delete(version);
    await write(version, chains, there, by);
    const after = await rulesOf(version, by);
    // Otherwise somebody changed them at the same time, and the next call must write them again.
    if (areComplete(chains, after)) kept.set(version, { wanted, shown: rulesAbout(chains, after) });
  };

  return {
    async ensure(chains) {
      const versions = Map.groupBy(chains, ({ version }) => version);
      await together(...[...versions].map(([version, own]) => ensureOf(version, own)));
    },
  };
}

async function write(version: IpVersion, chains: readonly Chain[], there: readonly string[], by: Exec): Promise<void> {
  const tables = [...new Set(chains.map(({ table }) => table))];
  const lines = tables.flatMap((table) => linesOf(table, chains, there));
  await run(
    `${program({ version })}-restore`,
    ['--wait', '--noflush'],
    { timeoutMs: TIMEOUT_MS, input: `${lines.join('\n')}\n` },
    by,
  );
}

/** The kernel's output about these chains and the jumps to them. */
function rulesAbout(chains: readonly Chain[], rules: readonly string[]): string {
  const isAbout = (rule: string): boolean =>
    chains.some((chain) => rule.startsWith(ruleOf(chain)) || rule === `${chain.table} -A ${jumpOf(chain)}`);
  return rules.filter(isAbout).join('\n');
}

/** Compares the number of rules, because the kernel may print them in other words than they were given in. */
const areComplete = (chains: readonly Chain[], rules: readonly string[]): boolean =>
  chains.every(
    (chain) =>
      rules.filter((rule) => rule.startsWith(ruleOf(chain))).length === chain.rules.length &&
      rules.includes(`${chain.table} -A ${jumpOf(chain)}`) &&
      !isLate(chain, rules),
  );

/** Whether the jump of a chain comes after a rule of others where it must not. */
const isLate = (chain: Chain, rules: readonly string[]): boolean =>
  chain.table === 'mangle' && beforeJump(chain, rules, `${chain.table} -A `) !== undefined;

/** The first rule of others that precedes a jump. @param start prefix of each line that is a rule */
function beforeJump(chain: Chain, rules: readonly string[], start: string): string | undefined {
  const siblings = rules.filter((rule) => rule.startsWith(`${start}${chain.jump.from} `));
  return siblings
    .slice(0, Math.max(0, siblings.indexOf(start + jumpOf(chain))))
    .find((rule) => !rule.includes(` -j ${OURS}`));
}

const ruleOf = ({ table, name }: Chain): string => `${table} -A ${name} `;

/** Input for iptables-restore: one transaction per table, so that a chain is never empty. */
function linesOf(table: Table, chains: readonly Chain[], there: readonly string[]): string[] {
  const own = chains.filter((chain) => chain.table === table);
  const late = own.filter((chain) => isLate(chain, there));
  const missing = own.filter((chain) => !there.includes(`${table} -A ${jumpOf(chain)}`));
  return [
    `*${table}`,
    ...own.map(({ name }) => `:${name} - [0:0]`),
    ...own.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule.join(' ')}`)),
    ...late.map((chain) => `-D ${jumpOf(chain)}`),
    ...[...missing, ...late].map((chain) => `-I ${jumpOf(chain)}`),
    'COMMIT',
  ];
}

const jumpOf = ({ name, jump }: Chain): string => [jump.from, ...jump.match, '-j', name].join(' ');

/** Every rule of all tables, in order: "mangle -A INPUT -j ORKESTR-…". */
async function rulesOf(version: IpVersion, by: Exec): Promise<readonly string[]> {
  const options = { timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_RULES_BYTES };
  const { stdout } = await run(`${program({ version })}-save`, [], options, by);
  const rules: string[] = [];
  let table = '';
  for (const line of stdout.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1);
    else if (line.startsWith('-A ')) rules.push(`${table} ${line}`);
  }
  return rules;
}

/** Removes the jump and the chain. No-op if they do not exist. */
export async function removeChain(chain: Chain, by: Exec): Promise<void> {
  const rule = [...chain.jump.match, '-j', chain.name];
  while (await succeeds(chain, ['-C', chain.jump.from, ...rule], by))
    await call(chain, ['-D', chain.jump.from, ...rule], by);
  if (!(await succeeds(chain, ['-S', chain.name], by))) return;
  await call(chain, ['-F', chain.name], by);
  await call(chain, ['-X', chain.name], by);
}

/** How the rules differ from what {@link ChainKeeper.ensure} sets, in words; changes nothing. */
export async function lacksOf(chains: readonly Chain[], by: Exec): Promise<readonly string[]> {
  const options = { timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_RULES_BYTES };
  const tables = Map.groupBy(chains, (chain) => `${program(chain)} -t ${chain.table}`);
  const lacks = await Promise.all(
    [...tables].map(async ([name, own]) => {
      const [first] = own;
      if (first === undefined) return [];
      const { stdout } = await run(program(first), argv(first, ['-S']), options, by);
      const lines = stdout.split('\n');
      const found = await Promise.all(own.map((chain) => lackIn(lines, chain, by)));
      return found.filter((lack) => lack !== null).map((lack) => `${name}: ${lack}`);
    }),
  );
  return lacks.flat();
}

async function lackIn(lines: readonly string[], chain: Chain, by: Exec): Promise<string | null> {
  const { name, rules: wanted, jump } = chain;
  if (!lines.includes(`-N ${name}`)) return `chain ${name} is not there`;
  const start = `-A ${name} `;
  const shown = lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length));
  if (shown.length !== wanted.length) return `chain ${name} has ${shown.length} of ${wanted.length} rules`;
  for (const [index, rule] of wanted.entries()) {
    const there = shown[index] ?? '';
    if (!(await isRule(chain, there, rule, by))) {
      return `chain ${name} has "${there}" where "${rule.join(' ')}" belongs`;
    }
  }
  if (!lines.includes(`-A ${jumpOf(chain)}`)) return `nothing leads from ${jump.from} to chain ${name}`;
  const before = beforeJump(chain, lines, '-A ');
  return before === undefined ? null : `"${before}" comes before the way to chain ${name}`;
}

/** A rule that the kernel prints in other words is looked up with `-C`; its position and target must match, too. */
async function isRule(chain: Chain, shown: string, rule: readonly string[], by: Exec): Promise<boolean> {
  if (shown === rule.join(' ')) return true;
  return shown.endsWith(` -j ${rule.at(-1)}`) && succeeds(chain, ['-C', chain.name, ...rule], by);
}

/** Whether the kernel has IPv6 at all. */
export async function hasIpv6(): Promise<boolean> {
  return access('/proc/net/if_inet6').then(
    () => true,
    () => false,
  );
}

type Place = Pick<Chain, 'version' | 'table'>;
const program = ({ version }: Pick<Chain, 'version'>): string => (version === 4 ? 'iptables' : 'ip6tables');
const argv = ({ table }: Place, args: readonly string[]): string[] => ['-w', '10', '-t', table, ...args];

async function call(place: Place, args: readonly string[], by: Exec): Promise<void> {
  await run(program(place), argv(place, args), { timeoutMs: TIMEOUT_MS }, by);
}

/** Exit codes 1 and 2 are iptables' "no such rule or chain"; any other one is a failure. */
async function succeeds(place: Place, args: readonly string[], by: Exec): Promise<boolean> {
  const result = await by(program(place), argv(place, args), { timeoutMs: TIMEOUT_MS });
  if (result.exitCode === 0) return true;
  if (result.exitCode === 1 || result.exitCode === 2) return false;
  throw new ExecError(program(place), argv(place, args), result);
}
