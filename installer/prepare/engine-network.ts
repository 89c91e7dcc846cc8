/**
 * What an engine changes in the machine's network: dockerd leaves its bridges, its chains and a FORWARD policy of DROP
 * behind when it stops. After an engine that was started here they are taken back; where Docker had been before, not.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { runProgram } from '../stack/run-program.ts';

interface NetworkPlan {
  /** Folder that keeps the note of how it was before. */
  readonly folder: string;
  /** Put before each program: enters the network namespace of the engine. */
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

/** Call before the engine is started. Notes nothing where an engine has been already: its network is not ours to end. */
export async function noteNetwork(plan: NetworkPlan): Promise<void> {
  if (existsSync(noteFile(plan)) || (await bridges(plan)).length > 0) return;
  const forward = Object.fromEntries(
    await Promise.all(PROGRAMS.map(async (program) => [program, await forwardPolicy(plan, program)])),
  );
  writeFileSync(noteFile(plan), JSON.stringify(Note.parse({ forward })), { mode: 0o600 });
}

/** Call after the engine has stopped. Safe to call twice; what others' rules still need stays. */
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

/** dockerd's rules name one of its chains or bridges, and are plain words without quotes. */
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

/** Its output, whatever its exit code: a machine without IPv6 or without NAT has nothing to take back there. */
async function run(plan: NetworkPlan, program: string, ...args: string[]): Promise<string> {
  const { stdout } = await runProgram([...(plan.wrapper ?? []), program, ...args] as [string, ...string[]]);
  return stdout;
}
