/**
 * Whether the owner's nftables rules accept a packet, as far as that can be determined: `nft -j list ruleset`
 * (libnftables-json(5)). Anything not understood counts as accepting, so that there are no false alarms.
 */
import { z } from 'zod';

/** A new incoming TCP connection. */
interface Packet {
  readonly hook: 'input' | 'forward';
  /** Prefix of its interface's name; null: an interface on which visitors arrive. */
  readonly from: string | null;
  /** Null: any. */
  readonly port: number | null;
}

const Place = z.object({ family: z.string(), table: z.string() });
const ChainPart = Place.extend({
  name: z.string(),
  type: z.string().optional(),
  hook: z.string().optional(),
  policy: z.string().optional(),
});
const RulePart = Place.extend({ chain: z.string(), expr: z.array(z.record(z.string(), z.unknown())).default([]) });
const Ruleset = z.object({
  nftables: z.array(z.object({ chain: ChainPart.optional(), rule: RulePart.optional() })),
});
const Match = z.object({ op: z.string(), left: z.unknown(), right: z.unknown() });
const Jump = z.object({ target: z.string() });
const Vmap = z.object({ key: z.unknown(), data: z.object({ set: z.array(z.tuple([z.unknown(), z.unknown()])) }) });
const Key = z.union([
  z.object({ meta: z.object({ key: z.string() }) }).transform(({ meta }) => `meta ${meta.key}`),
  z.object({ ct: z.object({ key: z.string() }) }).transform(({ ct }) => `ct ${ct.key}`),
  z
    .object({ payload: z.object({ protocol: z.string(), field: z.string() }) })
    .transform(({ payload }) => `${payload.protocol} ${payload.field}`),
]);
const Choice = z.union([z.object({ set: z.array(z.unknown()) }).transform(({ set }) => set), z.array(z.unknown())]);
const Range = z.object({ range: z.tuple([z.number(), z.number()]) });

export type Chain = z.infer<typeof ChainPart>;
type Rule = z.infer<typeof RulePart>;

export interface Rules {
  readonly chains: readonly Chain[];
  readonly rules: readonly Rule[];
}

/** @throws if it is not output of nft */
export function readRules(json: string): Rules {
  const parts = Ruleset.parse(JSON.parse(json)).nftables;
  return { chains: parts.flatMap(({ chain }) => chain ?? []), rules: parts.flatMap(({ rule }) => rule ?? []) };
}

/**
 * Chains of the owner that drop by default and accept this packet nowhere. Chains of iptables and firewalld are not
 * examined: other checks cover those.
 */
export function closedChains(rules: Rules, packet: Packet): readonly Chain[] {
  return rules.chains
    .filter((chain) => chain.type === 'filter' && chain.hook === packet.hook && isOwners(chain))
    .filter((chain) => ['inet', 'ip'].includes(chain.family) && dropsTheRest(chain, rulesIn(rules, chain)))
    .filter((chain) => !lets(rules, chain, packet, new Set()));
}

const isOwners = ({ table, name }: Chain): boolean => table !== 'firewalld' && name !== name.toUpperCase();

const rulesIn = ({ rules }: Rules, { family, table, name }: Chain): readonly Rule[] =>
  rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === name);

/** By its policy, or by a last rule that matches everything. */
function dropsTheRest({ policy }: Chain, rules: readonly Rule[]): boolean {
  const last = rules.at(-1)?.expr.filter((part) => !('counter' in part) && !('log' in part));
  return (
    policy === 'drop' || (last?.length === 1 && last[0] !== undefined && ('drop' in last[0] || 'reject' in last[0]))
  );
}

function lets(rules: Rules, chain: Chain, packet: Packet, seen: Set<string>): boolean {
  if (seen.has(chain.name)) return false;
  seen.add(chain.name);
  const decides = (verdict: Readonly<Record<string, unknown>>): boolean => {
    if ('accept' in verdict) return true;
    const target = Jump.safeParse(verdict['jump'] ?? verdict['goto']).data?.target;
    const next = rules.chains.find(
      ({ family, table, name }) => family === chain.family && table === chain.table && name === target,
    );
    return next !== undefined && lets(rules, next, packet, seen);
  };
  const byMap = (given: unknown): boolean => {
    const vmap = Vmap.safeParse(given).data;
    if (vmap === undefined) return true; // a named map: not understood
    return vmap.data.set.some(
      ([value, verdict]) => mayBe(vmap.key, value, packet) && decides((verdict ?? {}) as Record<string, unknown>),
    );
  };
  return rulesIn(rules, chain).some(
    ({ expr }) =>
      expr.every((part) => !('match' in part) || mayMatch(part['match'], packet)) &&
      expr.some((part) => decides(part) || ('vmap' in part && byMap(part['vmap']))),
  );
}

function mayMatch(given: unknown, packet: Packet): boolean {
  const match = Match.safeParse(given).data;
  if (match === undefined) return true;
  const { op, left, right } = match;
  if (op === '!=') return valueOf(left, packet) === null || !mayBe(left, right, packet);
  return mayBe(left, right, packet);
}

/** Whether the field `left` may have the value `right`, or one of its values. */
function mayBe(left: unknown, right: unknown, packet: Packet): boolean {
  const choice = Choice.safeParse(right).data;
  if (choice !== undefined) return choice.some((one) => mayBe(left, one, packet));
  const key = Key.safeParse(left).data ?? '';
  if (/^(?:udp|icmp|icmpv6|sctp|igmp) /.test(key)) return false;
  const isName = key === 'meta iif' || key === 'meta iifname';
  if (isName && typeof right === 'string' && !right.startsWith('@')) return isFrom(packet.from, right);
  const value = valueOf(left, packet);
  if (value === null || (typeof right === 'string' && right.startsWith('@'))) return true;
  const range = Range.safeParse(right).data?.range;
  return range === undefined ? String(right) === value : range[0] <= Number(value) && Number(value) <= range[1];
}

/** The loopback, links of ours, networks of Docker. */
const NO_VISITORS = /^(?:lo$|ob|ork|docker|br-)/;

/** Of a dynamic interface name only the prefix is known: `ob*`, and a full name with that prefix, may match it. */
function isFrom(from: string | null, name: string): boolean {
  if (from === null) return !NO_VISITORS.test(name);
  const beginning = name.replace(/\*$/, '');
  return beginning.startsWith(from) || (name.endsWith('*') && from.startsWith(beginning));
}

/** The packet's value for a field; null: unknown. */
function valueOf(left: unknown, { port }: Packet): string | null {
  const key = Key.safeParse(left).data ?? '';
  if (key === 'ct state') return 'new';
  if (['meta l4proto', 'ip protocol', 'ip6 nexthdr'].includes(key)) return 'tcp';
  // Forwarded packets have any port: a rule about one port is not enough.
  if (key === 'tcp dport' || key === 'th dport') return port === null ? 'any' : String(port);
  return null;
}
