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
    const own = chains.map(linesOf);
    const there = await rulesOf(version, by);
    const last = kept.get(version);
    if (last?.wanted === wanted && last.shown === rulesAbout(own, there) && areComplete(own, there)) return;
    kept.delete(version);
    await write(version, own, there, by);
    const after = await rulesOf(version, by);
    // Otherwise somebody changed them at the same time, and the next call must write them again.
    if (areComplete(own, after)) kept.set(version, { wanted, shown: rulesAbout(own, after) });
  };

  return {
    async ensure(chains) {
      const versions = Map.groupBy(chains, ({ version }) => version);
      await together(...[...versions].map(([version, own]) => ensureOf(version, own)));
    },
  };
}

/**
 * How {@link rulesOf} shows a chain. Made once per call: a host may have thousands of rules, each of which is compared
 * with every chain once a minute.
 */
interface ChainLines {
  readonly chain: Chain;
  /** Begins each of its rules. */
  readonly start: string;
  /** The rule that leads to it. */
  readonly jump: string;
  /** Begins each rule of the chain that it is reached from. */
  readonly siblings: string;
}

function linesOf(chain: Chain): ChainLines {
  const append = `${chain.table} -A `;
  return {
    chain,
    start: `${append}${chain.name} `,
    jump: append + jumpOf(chain),
    siblings: `${append}${chain.jump.from} `,
  };
}

async function write(
  version: IpVersion,
  own: readonly ChainLines[],
  there: readonly string[],
  by: Exec,
): Promise<void> {
  const tables = [...new Set(own.map(({ chain }) => chain.table))];
  const input = tables.flatMap((table) => transaction(table, own, there));
  await run(
    `${program({ version })}-restore`,
    ['--wait', '--noflush'],
    { timeoutMs: TIMEOUT_MS, input: `${input.join('\n')}\n` },
    by,
  );
}

/** The kernel's output about these chains and the jumps to them. */
const rulesAbout = (own: readonly ChainLines[], rules: readonly string[]): string =>
  rules.filter((rule) => own.some(({ start, jump }) => rule.startsWith(start) || rule === jump)).join('\n');

/** Compares the number of rules, because the kernel may print them in other words than they were given in. */
const areComplete = (own: readonly ChainLines[], rules: readonly string[]): boolean =>
  own.every(
    (lines) =>
      rules.filter((rule) => rule.startsWith(lines.start)).length === lines.chain.rules.length &&
      rules.includes(lines.jump) &&
      !isLate(lines, rules),
  );

/** Whether the jump of a chain comes after a rule of others where it must not. */
const isLate = ({ chain, siblings, jump }: ChainLines, rules: readonly string[]): boolean =>
  chain.table === 'mangle' && beforeJump({ siblings, jump }, rules) !== undefined;

/** The first rule of others that precedes a jump. */
function beforeJump(
  { siblings, jump }: Pick<ChainLines, 'siblings' | 'jump'>,
  rules: readonly string[],
): string | undefined {
  const there = rules.filter((rule) => rule.startsWith(siblings));
  return there.slice(0, Math.max(0, there.indexOf(jump))).find((rule) => !rule.includes(` -j ${OURS}`));
}

/** Input for iptables-restore: one transaction per table, so that a chain is never empty. */
function transaction(table: Table, all: readonly ChainLines[], there: readonly string[]): string[] {
  const own = all.filter(({ chain }) => chain.table === table);
  const late = own.filter((lines) => isLate(lines, there));
  const missing = own.filter(({ jump }) => !there.includes(jump));
  return [
    `*${table}`,
    ...own.map(({ chain }) => `:${chain.name} - [0:0]`),
    ...own.flatMap(({ chain }) => chain.rules.map((rule) => `-A ${chain.name} ${rule.join(' ')}`)),
    ...late.map(({ chain }) => `-D ${jumpOf(chain)}`),
    ...[...missing, ...late].map(({ chain }) => `-I ${jumpOf(chain)}`),
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
  const jumpLine = `-A ${jumpOf(chain)}`;
  if (!lines.includes(jumpLine)) return `nothing leads from ${jump.from} to chain ${name}`;
  const before = beforeJump({ siblings: `-A ${jump.from} `, jump: jumpLine }, lines);
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
