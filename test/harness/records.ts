/**
 * Records on disk what each test stack has made, while it exists, so that a later process can remove it if the test
 * process itself was killed. One file per stack in one folder.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { scopeOf } from '../../agent/identity/identity.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { unmountBelow } from '../../installer/prepare/mounts.ts';
import { endProcess, ProcessIdentity } from '../../installer/stack/process-identity.ts';
import { runProgram } from '../../installer/stack/run-program.ts';
import { agentArgv, agentEnv, agentState } from '../../installer/stack/stack.ts';
import type { StackPlan } from '../../installer/stack/stack.ts';

const Plan = z.object({
  folder: z.string(),
  runFolder: z.string(),
  hubListen: z.string(),
  proxyListen: z.string(),
  appsUrl: z.string(),
  dockerSocket: z.string(),
});
const StackRecord = z.object({ plan: Plan, processes: z.array(ProcessIdentity) });
type StackRecord = z.infer<typeof StackRecord>;

const recordsFolder = (): string => join(tmpdir(), 'orkestr-test-records');

const recordFile = (folder: string): string =>
  join(recordsFolder(), `${createHash('sha256').update(folder).digest('hex').slice(0, 16)}.json`);

/** Records a stack, and one of its processes if one was started. */
export function keepRecord(plan: StackPlan, started?: ProcessIdentity): void {
  mkdirSync(recordsFolder(), { recursive: true, mode: 0o700 });
  const processes = [...(readRecord(plan.folder)?.processes ?? []), ...(started ? [started] : [])];
  writeFileSync(recordFile(plan.folder), JSON.stringify({ plan, processes } satisfies StackRecord), { mode: 0o600 });
}

/** Lists the scopes of all stacks of a test run, one per line: leftovers with these certainly belong to the run. */
export const scopesFile = (): string => join(tmpdir(), 'orkestr-test-scopes');

export function noteScope(scope: string): void {
  if (existsSync(scopesFile())) appendFileSync(scopesFile(), `${scope}\n`);
}

function readRecord(folder: string): StackRecord | null {
  return existsSync(recordFile(folder)) ? readFile(recordFile(folder)) : null;
}

const readFile = (file: string): StackRecord => StackRecord.parse(JSON.parse(readFileSync(file, 'utf8')));

/** Folders of the stacks that have not been removed. */
export function leftStacks(): string[] {
  if (!existsSync(recordsFolder())) return [];
  return readdirSync(recordsFolder()).map((name) => readFile(join(recordsFolder(), name)).plan.folder);
}

/**
 * Ends and removes everything of the stack in `folder`. Safe to call twice. @throws if something could not be removed
 */
export async function sweep(folder: string): Promise<void> {
  const record = readRecord(folder);
  if (!record) return;
  const { plan, processes } = record;
  // The agent first: nothing may be created any more while its things are removed.
  for (const identity of processes.toReversed()) await endProcess(identity, 10_000);
  const complaint = await sweepHost(plan);
  for (const path of [plan.folder, plan.runFolder]) {
    await unmountBelow(path);
    rmSync(path, { recursive: true, force: true });
  }
  rmSync(recordFile(folder), { force: true });
  // With the last record, the folder goes, too.
  if (readdirSync(recordsFolder()).length === 0) rmSync(recordsFolder(), { recursive: true });
  if (complaint !== null) throw new Error(complaint);
}

/** The agent removes what it made; leftovers are found by their label. @returns what failed, or null */
async function sweepHost(plan: StackPlan): Promise<string | null> {
  const identityFile = join(agentState(plan), 'identity.json');
  if (!existsSync(identityFile)) return null;
  const { hostId } = z.object({ hostId: z.string() }).parse(JSON.parse(readFileSync(identityFile, 'utf8')));
  const { code, stdout, stderr } = await runProgram([...agentArgv(), 'uninstall', '--purge'], { env: agentEnv(plan) });
  const engine = new EngineApi(plan.dockerSocket);
  try {
    await removeLabelled(engine, `orkestr.scope=${scopeOf(hostId)}`);
  } finally {
    await engine.close();
  }
  return code === 0 ? null : `orkestr-agent uninstall failed (exit code ${code}): ${stdout}${stderr}`;
}

async function removeLabelled(engine: EngineApi, label: string): Promise<void> {
  for (const { Id } of await engine.containers(label)) await engine.removeContainer(Id);
  for (const { Id } of await engine.images(label)) await engine.removeImage(Id);
  for (const { Id } of await engine.networks(label)) await engine.removeNetwork(Id);
}
