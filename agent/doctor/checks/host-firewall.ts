/** Firewalls of the host's owner that keep visitors from the proxy: ufw by what it has put into the kernel, firewalld by its word. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lib/exec.ts';
import type { Exec } from '../../lib/exec.ts';
import { defineCheck, when } from '../check.ts';

/** firewall-cmd is a Python program that asks over the message bus. */
const LOOK_MS = 1000;
/** Of a host with tens of thousands of rules. */
const MAX_RULES_BYTES = 16_777_216;
/** Links of builds (docs/isolation.md), in firewalld's words. */
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
      has('firewall-cmd') ? told(exec, 'firewall-cmd', [what]) : null;
    const [rules, standard, zones, link] = await Promise.all([
      has('iptables') ? told(exec, 'iptables', ['-w', '5', '-S']) : null,
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

/** What a program says; null: it does not run (firewalld is installed and off), or is too busy to say it now. */
const told = (exec: Exec, program: string, args: readonly string[]): Promise<string | null> =>
  run(program, args, { timeoutMs: LOOK_MS, maxOutputBytes: MAX_RULES_BYTES }, exec).then(
    ({ stdout }) => stdout,
    () => null, // nothing is said that is not known
  );

/** Where the default route leads, by proc_net(5): visitors come there. Empty: nowhere. */
async function outerLink(proc: string): Promise<string> {
  const text = await readFile(join(proc, 'net/route'), 'utf8').catch(() => ''); // without it the standard zone is asked
  const [first] = text
    .split('\n')
    .map((line) => line.split(/\s+/))
    .filter(([, to, , , , , , mask]) => to === '00000000' && mask === to)
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  return first?.[0] ?? '';
}

/** Of `firewall-cmd --list-all-zones` the zone that has the link; null: it is in none, and so in the standard one. */
const zoneOf = (zones: string, link: string): string | null =>
  zones.split(/\n(?=\S)/).find((zone) => wordsOf(zone, 'interfaces').includes(link)) ?? null;

/** `public (active)` is its first line. */
const nameOf = (zone: string): string => /^\S*/.exec(zone)?.[0] ?? '';

const wordsOf = (zone: string, name: string): readonly string[] =>
  new RegExp(`^\\s*${name}:(.*)$`, 'm')
    .exec(zone)?.[1]
    ?.split(/\s+/)
    .filter((word) => word !== '') ?? [];

/** Chains that let in before the policy drops; in the last one stands what its owner has allowed. */
const UFW_CHAINS = ['INPUT', 'ufw-before-input', 'ufw-after-input', 'ufw-user-input'];

/** By `iptables -S`: switched off, ufw takes its users' chain away and sets the policy to ACCEPT. */
function closedByUfw(rules: string, ports: readonly number[]): readonly number[] {
  const lines = rules.split('\n');
  if (!lines.includes('-N ufw-user-input') || lines.includes('-P INPUT ACCEPT')) return [];
  const allowing = lines.filter(
    (line) => UFW_CHAINS.includes(line.split(' ')[1] ?? '') && / -j (?:ACCEPT|ufw-user-limit-accept)$/.test(line),
  );
  return ports.filter((port) => !allowing.some((rule) => allows(rule, port)));
}

/** Some addresses are enough: whom to let in is the owner's to say. */
function allows(rule: string, port: number): boolean {
  if (/ -p (?!tcp )/.test(rule)) return false;
  const given = / --dports? (\S+)/.exec(rule)?.[1];
  if (given !== undefined) return given.split(',').some((range) => isIn(range, port, ':'));
  return rule.startsWith('-A ufw-user-input ') && !/ -[sd] /.test(rule);
}

/** By what `firewall-cmd --list-all` says of one zone. */
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

/** Whether `port` is in `80` or in `8000:8100`. */
function isIn(range: string, port: number, between: string): boolean {
  const [from, to = from] = range.split(between).map(Number);
  return from !== undefined && to !== undefined && from <= port && port <= to;
}
