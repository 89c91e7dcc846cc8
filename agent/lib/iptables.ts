/** Chains of our own in the kernel's packet filter, by the iptables programs (both the nft and the legacy kind). */
import { access } from 'node:fs/promises';
import { type Exec, ExecError, run } from './exec.ts';

const TIMEOUT_MS = 15_000;

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
 * What is not as {@link ensureChain} leaves it, in words; null when all is there. Rules are counted, not compared: the
 * kernel tells them in other words than they were given in.
 */
export async function lackOf(chain: Chain, by: Exec): Promise<string | null> {
  const { name, rules, jump } = chain;
  const listed = await by(program(chain), argv(chain, ['-S', name]), { timeoutMs: TIMEOUT_MS });
  const where = `${program(chain)} chain ${name}`;
  if (listed.exitCode === 1) return `${where} is not there`;
  if (listed.exitCode !== 0) throw new ExecError(program(chain), argv(chain, ['-S', name]), listed);
  const found = listed.stdout.split('\n').filter((line) => line.startsWith('-A ')).length;
  if (found !== rules.length) return `${where} has ${found} of ${rules.length} rules`;
  const jumps = await succeeds(chain, ['-C', jump.from, ...jump.match, '-j', name], by);
  return jumps ? null : `nothing leads from ${jump.from} to ${where}`;
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
