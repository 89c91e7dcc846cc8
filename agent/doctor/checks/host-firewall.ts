/** Firewalls of the host's owner that block visitors: ufw is judged by its kernel rules, firewalld by its output. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lib/exec.ts';
import type { Exec } from '../../lib/exec.ts';
import { defineCheck, when } from '../check.ts';

/** firewall-cmd is a Python program that queries firewalld over D-Bus. */
const LOOK_MS = 1000;
/** Enough for a host with tens of thousands of rules. */
const MAX_RULES_BYTES = 16_777_216;
/** Interfaces of builds (docs/isolation.md), in firewalld's notation. */
const BUILDS = 'ob+';
const FIREWALLD_SERVICES: Readonly<Record<number, string>> = { 80: 'http', 443: 'https' };

export const hostFirewall = defineCheck({
  name: 'host-firewall',
  about: 'Neither ufw nor firewalld blocks visitors on ports 80 and 443, or builds from the internet.',
  problems: {
    ufw: {
      level: 'warn',
      says: 'ufw drops connections to {ports}: visitors are blocked.',
      mend: 'Run `ufw allow {ports}/tcp`.',
    },
    firewalld: {
      level: 'warn',
      says: 'firewalld refuses connections to {ports} in its zone {zone}: visitors are blocked.',
      mend: 'Run `firewall-cmd --permanent --zone={zone} --add-service=http --add-service=https && firewall-cmd --reload`.',
    },
    'firewalld-builds': {
      level: 'warn',
      says: 'firewalld rejects traffic from builds, to the internet or to the proxy of their allow-list: their network links are in no zone that accepts it.',
      mend: `Run \`firewall-cmd --zone=trusted --add-interface=${BUILDS} && firewall-cmd --permanent --zone=trusted --add-interface=${BUILDS}\` (orkestr's own rules still restrict builds).`,
    },
  },
  async gather({ places, exec, has }) {
    const firewalld = (what: string): Promise<string | null> | null =>
      has('firewall-cmd') ? outputOf(exec, 'firewall-cmd', [what]) : null;
    const [rules, standard, zones, link] = await Promise.all([
      has('iptables') ? outputOf(exec, 'iptables', ['-w', '5', '-S']) : null,
      firewalld('--list-all'),
      firewalld('--list-all-zones'),
      outerLink(places.proc),
    ]);
    return {
      ports: places.ports,
      rules,
      zone: zones === null ? null : (zoneOf(zones, link) ?? standard),
      noZone: zones !== null && zoneOf(zones, BUILDS) === null,
    };
  },
  judge({ ports, rules, zone, noZone }) {
    const ufw = rules === null ? [] : closedByUfw(rules, ports);
    const firewalld = zone === null ? [] : closedByFirewalld(zone, ports);
    const closed = [...ufw, ...firewalld];
    return {
      summary: closed.length === 0 ? 'none that keeps visitors out' : `closed: ${closed.join(', ')}`,
      findings: [
        ...when(ufw.length > 0, { problem: 'ufw', values: { ports: ufw.join(',') } }),
        ...when(firewalld.length > 0, {
          problem: 'firewalld',
          values: { ports: firewalld.join(','), zone: nameOf(zone ?? '') },
        }),
        ...when(noZone, { problem: 'firewalld-builds' }),
      ],
    };
  },
});

/** Output of a program; null: it does not run (firewalld is installed but off), or is too busy to answer. */
const outputOf = (exec: Exec, program: string, args: readonly string[]): Promise<string | null> =>
  run(program, args, { timeoutMs: LOOK_MS, maxOutputBytes: MAX_RULES_BYTES }, exec).then(
    ({ stdout }) => stdout,
    () => null, // report nothing that is not known
  );

/** Interface of the default route, by proc_net(5): visitors arrive there. Empty if there is none. */
async function outerLink(proc: string): Promise<string> {
  const text = await readFile(join(proc, 'net/route'), 'utf8').catch(() => ''); // without it the default zone is used
  const [first] = text
    .split('\n')
    .map((line) => line.split(/\s+/))
    .filter(([, to, , , , , , mask]) => to === '00000000' && mask === to)
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  return first?.[0] ?? '';
}

/** From `firewall-cmd --list-all-zones`, the zone with the interface; null: none, so the default zone applies. */
const zoneOf = (zones: string, link: string): string | null =>
  zones.split(/\n(?=\S)/).find((zone) => wordsOf(zone, 'interfaces').includes(link)) ?? null;

/** The first line is like `public (active)`. */
const nameOf = (zone: string): string => /^\S*/.exec(zone)?.[0] ?? '';

const wordsOf = (zone: string, name: string): readonly string[] =>
  new RegExp(`^\\s*${name}:(.*)$`, 'm')
    .exec(zone)?.[1]
    ?.split(/\s+/)
    .filter((word) => word !== '') ?? [];

/** Chains that accept before the policy drops; the last one holds what the owner allowed. */
const UFW_CHAINS = ['INPUT', 'ufw-before-input', 'ufw-after-input', 'ufw-user-input'];

/** From `iptables -S`. When ufw is switched off, it removes its users' chain and sets the policy to ACCEPT. */
function closedByUfw(rules: string, ports: readonly number[]): readonly number[] {
  const lines = rules.split('\n');
  if (!lines.includes('-N ufw-user-input') || lines.includes('-P INPUT ACCEPT')) return [];
  const allowing = lines.filter(
    (line) => UFW_CHAINS.includes(line.split(' ')[1] ?? '') && / -j (?:ACCEPT|ufw-user-limit-accept)$/.test(line),
  );
  return ports.filter((port) => !allowing.some((rule) => allows(rule, port)));
}

/** A rule for some addresses is enough: the owner decides whom to let in. */
function allows(rule: string, port: number): boolean {
  if (/ -p (?!tcp )/.test(rule)) return false;
  const given = / --dports? (\S+)/.exec(rule)?.[1];
  if (given !== undefined) return given.split(',').some((range) => isIn(range, port, ':'));
  return rule.startsWith('-A ufw-user-input ') && !/ -[sd] /.test(rule);
}

/** From what `firewall-cmd --list-all` prints for one zone. */
function closedByFirewalld(zone: string, ports: readonly number[]): readonly number[] {
  if (wordsOf(zone, 'target')[0] === 'ACCEPT') return [];
  const open = wordsOf(zone, 'ports').flatMap((entry) => (entry.endsWith('/tcp') ? [entry.slice(0, -4)] : []));
  return ports.filter((port) => {
    const service = FIREWALLD_SERVICES[port];
    const isServed = service !== undefined && wordsOf(zone, 'services').includes(service);
    const isNamed = new RegExp(`(?<!to-?)port="?${port}\\b|service name="${service}"`).test(zone);
    return !isServed && !isNamed && !open.some((range) => isIn(range, port, '-'));
  });
}

/** Whether `port` is in a range such as `80` or `8000:8100`. */
function isIn(range: string, port: number, between: string): boolean {
  const [from, to = from] = range.split(between).map(Number);
  return from !== undefined && to !== undefined && from <= port && port <= to;
}
