/**
 * An engine's changes to the machine's network: dockerd leaves its bridges, its chains and a FORWARD policy of DROP
 * behind when it stops. After an engine that was started here they are reverted, unless Docker was there before.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { runProgram } from '../stack/run-program.ts';

interface NetworkPlan {
  /** Folder for the record of the previous state. */
  readonly folder: string;
  /** Put before each program, to enter the engine's network namespace. */
  readonly wrapper?: readonly [string, ...string[]];
}

const PROGRAMS = ['iptables', 'ip6tables'] as const;
const TABLES = ['filter', 'nat'] as const;
const Policy = z.enum(['ACCEPT', 'DROP']);
const Note = z.object({ forward: z.record(z.enum(PROGRAMS), Policy) });

/** docker0, and the bridges of project networks: `ork<scope>-<network>`. */
const BRIDGE = /^(?:docker0|ork[0-9a-f]{4}-[0-9a-f]+)$/;
const CHAIN = /^DOCKER(?:-|$)/;

const noteFile = (plan: NetworkPlan): string => join(plan.folder, 'network-before.json');

/**
 * Must run before the engine starts. Records nothing if an engine was there before: its network is not ours to remove.
 */
export async function noteNetwork(plan: NetworkPlan): Promise<void> {
  if (existsSync(noteFile(plan)) || (await bridges(plan)).length > 0) return;
  const forward = Object.fromEntries(
    await Promise.all(PROGRAMS.map(async (program) => [program, await forwardPolicy(plan, program)])),
  );
  writeFileSync(noteFile(plan), JSON.stringify(Note.parse({ forward })), { mode: 0o600 });
}

/** Must run after the engine has stopped. Safe to call twice; keeps chains that other rules use. */
export async function restoreNetwork(plan: NetworkPlan): Promise<void> {
  if (!existsSync(noteFile(plan))) return;
  const { forward } = Note.parse(JSON.parse(readFileSync(noteFile(plan), 'utf8')));
  for (const program of PROGRAMS) {
    for (const table of TABLES) await removeRules(plan, program, table);
    await run(plan, program, '--wait', '--policy', 'FORWARD', forward[program]);
  }
  for (const bridge of await bridges(plan)) await run(plan, 'ip', 'link', 'delete', bridge);
  rmSync(noteFile(plan));
}

/** dockerd's rules name one of its chains or bridges, and contain no quotes. */
async function removeRules(plan: NetworkPlan, program: string, table: string): Promise<void> {
  const lines = (await run(plan, program, '--wait', '--table', table, '--list-rules')).split('\n');
  const words = lines.filter((line) => !line.includes('"')).map((line) => line.split(' '));
  const chains = words.flatMap(([verb, chain = '']) => (verb === '-N' && CHAIN.test(chain) ? [chain] : []));
  for (const [verb, ...rule] of words) {
    if (verb !== '-A' || !rule.some((word) => BRIDGE.test(word) || chains.includes(word))) continue;
    await run(plan, program, '--wait', '--table', table, '--delete', ...rule);
  }
  for (const chain of chains) await run(plan, program, '--wait', '--table', table, '--delete-chain', chain);
}

async function forwardPolicy(plan: NetworkPlan, program: string): Promise<z.infer<typeof Policy>> {
  const rules = await run(plan, program, '--wait', '--list-rules', 'FORWARD');
  return /^-P FORWARD DROP$/m.test(rules) ? 'DROP' : 'ACCEPT';
}

async function bridges(plan: NetworkPlan): Promise<string[]> {
  const links = await run(plan, 'ip', '-oneline', 'link', 'show', 'type', 'bridge');
  return [...links.matchAll(/^\d+: ([^:@]+)[:@]/gm)].map(([, name = '']) => name).filter((name) => BRIDGE.test(name));
}

/** Returns the output whatever the exit code: a machine without IPv6 or NAT has nothing to revert there. */
async function run(plan: NetworkPlan, program: string, ...args: string[]): Promise<string> {
  const { stdout } = await runProgram([...(plan.wrapper ?? []), program, ...args] as [string, ...string[]]);
  return stdout;
}
