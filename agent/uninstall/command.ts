/** `orkestr-agent uninstall`: asks, then takes everything of ours off the host. */
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { isInstalled } from '../../protocol/service/installation.ts';
import type { Config } from '../config.ts';
import { makeEngine } from '../docker/engine.ts';
import { readIdentity } from '../identity.ts';
import { lockState } from '../journal/lock.ts';
import { agentThings } from './agent-things.ts';
import { uninstall } from './cleanup.ts';
import type { Cleanup } from './cleanup.ts';
import { installationThings, removeFolders, stopAgent } from './installation.ts';

export interface UninstallOptions {
  /** Take the data, too, and ask nothing. */
  readonly purge?: true;
  /** Leave state, settings and images for the next installation. */
  readonly keepData?: true;
}

const WORDS = { done: 'done', warning: 'warning', failed: 'FAILED' } as const;

/** @throws OrkestrError ORK_INVALID when it is not said plainly what is to become of the data */
export async function uninstallHost(config: Config, options: UninstallOptions): Promise<void> {
  const keepData = options.keepData === true;
  if (keepData && options.purge) throw new OrkestrError('ORK_INVALID', 'Either --keep-data or --purge.');
  if (!keepData && !options.purge) await askForData();
  const installed = isInstalled(process.execPath);
  const ok = !installed || (await tell([stopAgent]));
  if (!ok || !(await removeMade(config, keepData))) {
    // The identity stays: it is what tells our things from others' when this is called again.
    process.exitCode = 1;
    return;
  }
  const engine = makeEngine({ socketPath: config.dockerSocket });
  if (installed && !(await tell(installationThings(engine, keepData)))) {
    process.exitCode = 1;
    return;
  }
  rmSync(config.agentSocket, { force: true });
  if (!keepData) rmSync(config.stateFolder, { recursive: true, force: true });
  if (installed) removeFolders(keepData);
  process.stdout.write(`done     state: ${config.stateFolder} ${keepData ? 'kept' : 'removed'}\n`);
}

/** What the agent has made; the state folder is its own for as long as this takes. */
async function removeMade(config: Config, keepData: boolean): Promise<boolean> {
  const identity = readIdentity(config.stateFolder);
  if (identity === null) return true;
  const lock = await lockState(config.stateFolder);
  try {
    return await tell(agentThings(config, identity.hostId, keepData));
  } finally {
    lock.release();
  }
}

async function tell(cleanups: readonly Cleanup[]): Promise<boolean> {
  const results = await uninstall(cleanups, ({ what, level, told }) =>
    process.stdout.write(`${WORDS[level].padEnd(7)}  ${what}: ${told}\n`),
  );
  return results.every(({ level }) => level !== 'failed');
}

async function askForData(): Promise<void> {
  const plainly = 'Say so with --purge, or keep state and images with --keep-data.';
  if (!process.stdin.isTTY) throw new OrkestrError('ORK_INVALID', `Everything of this host would go. ${plainly}`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const name = await terminal.question(`All apps and data of this host go. Its name, to go on (${hostname()}): `);
    if (name.trim() !== hostname()) throw new OrkestrError('ORK_INVALID', `That is not its name. ${plainly}`);
  } finally {
    terminal.close();
  }
}
