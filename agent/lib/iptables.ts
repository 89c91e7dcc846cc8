/** Chains of our own in the kernel's packet filter, by the iptables programs (both the nft and the legacy kind). */
import { access } from 'node:fs/promises';
import { type Exec, ExecError, run } from './exec.ts';

const TIMEOUT_MS = 15_000;
/** A table of an engine with some hundred containers. */
const LISTING = { timeoutMs: TIMEOUT_MS, maxOutputBytes: 4 * 1024 * 1024 };

export type IpVersion = 4 | 6;
export type Table = 'filter' | 'nat';

/** A chain of ours: replaced as a whole, reached by one jump rule at the top of a chain of the system. */
export interface Chain {
  readonly version: IpVersion;
  readonly table: Table;
  readonly name: string;
  /** Matches and target of each rule, in order. */
  readonly rules: readonly (readonly string[])[];
  readonly jump: { readonly from: string; readonly match: readonly string[] };
}

/** Brings the chain to exactly these rules, and its jump to the top of `jump.from` when it is absent. Safe to repeat. */
export async function ensureChain(chain: Chain, by: Exec): Promise<void> {
  const { table, name, rules, jump } = chain;
  // One transaction: at no moment is the chain empty.
  const text = [`*${table}`, `:${name} - [0:0]`, ...rules.map((rule) => `-A ${name} ${rule.join(' ')}`), 'COMMIT', ''];
  await run(
    `${program(chain)}-restore`,
    ['--wait', '--noflush'],
    { timeoutMs: TIMEOUT_MS, input: text.join('\n') },
    by,
  );
  const rule = [...jump.match, '-j', name];
  if (!(await succeeds(chain, ['-C', jump.from, ...rule], by))) {
    await call(chain, ['-I', jump.from, '1', ...rule], by);
  }
}

/** Takes the jump and the chain away. Nothing to do is fine. */
export async function removeChain(chain: Chain, by: Exec): Promise<void> {
  const rule = [...chain.jump.match, '-j', chain.name];
  while (await succeeds(chain, ['-C', chain.jump.from, ...rule], by))
    await call(chain, ['-D', chain.jump.from, ...rule], by);
  if (!(await succeeds(chain, ['-S', chain.name], by))) return;
  await call(chain, ['-F', chain.name], by);
  await call(chain, ['-X', chain.name], by);
}

/**
 * What is not as {@link ensureChain} leaves it, in words; changes nothing. Rules are counted, not compared: the kernel
 * tells them in other words than they were given in.
 */
export async function lacksOf(chains: readonly Chain[], by: Exec): Promise<readonly string[]> {
  const tables = Map.groupBy(chains, (chain) => `${program(chain)} -t ${chain.table}`);
  const lacks = await Promise.all(
    [...tables].map(async ([name, [first, ...more]]) => {
      if (first === undefined) return [];
      const { stdout } = await run(program(first), argv(first, ['-S']), LISTING, by);
      return [first, ...more].flatMap((chain) => lackIn(stdout.split('\n'), chain, name));
    }),
  );
  return lacks.flat();
}

function lackIn(rules: readonly string[], { name, rules: wanted, jump }: Chain, table: string): string[] {
  const where = `${table}: chain ${name}`;
  if (!rules.includes(`-N ${name}`)) return [`${where} is not there`];
  const found = rules.filter((rule) => rule.startsWith(`-A ${name} `)).length;
  if (found !== wanted.length) return [`${where} has ${found} of ${wanted.length} rules`];
  const reached = rules.some((rule) => rule.startsWith(`-A ${jump.from} `) && rule.endsWith(` -j ${name}`));
  return reached ? [] : [`nothing leads from ${jump.from} to ${where}`];
}

/** Makes a chain of the system that may not be there yet (DOCKER-USER, before the engine's first start). */
export async function ensureSystemChain(version: IpVersion, name: string, by: Exec): Promise<void> {
  const place = { version, table: 'filter' } as const;
  if (!(await succeeds(place, ['-S', name], by))) await call(place, ['-N', name], by);
}

/** Whether the kernel has IPv6 at all. */
export async function hasIpv6(): Promise<boolean> {
  return access('/proc/net/if_inet6').then(
    () => true,
    () => false,
  );
}

type Place = Pick<Chain, 'version' | 'table'>;
const program = ({ version }: Place): string => (version === 4 ? 'iptables' : 'ip6tables');
const argv = ({ table }: Place, args: readonly string[]): string[] => ['-w', '10', '-t', table, ...args];

async function call(place: Place, args: readonly string[], by: Exec): Promise<void> {
  await run(program(place), argv(place, args), { timeoutMs: TIMEOUT_MS }, by);
}

/** Exit code 1 is iptables' "no such rule or chain"; anything else is a failure. */
async function succeeds(place: Place, args: readonly string[], by: Exec): Promise<boolean> {
  const result = await by(program(place), argv(place, args), { timeoutMs: TIMEOUT_MS });
  if (result.exitCode === 0) return true;
  if (result.exitCode === 1 || result.exitCode === 2) return false;
  throw new ExecError(program(place), argv(place, args), result);
}
