/** `orkestr-agent uninstall` removes everything of ours from the host; `leave` only what belongs to its hub. */
import { rmSync } from 'node:fs';
import { isInstalled } from '../../protocol/service/installation.ts';
import type { Config } from '../config.ts';
import { makeEngine } from '../docker/engine.ts';
import type { Engine } from '../lib/engine.ts';
import { agentThings } from './agent-things.ts';
import { uninstall } from './cleanup.ts';
import type { Cleanup } from './cleanup.ts';
import { removeFolder } from './folder.ts';
import { installationThings, removeFolders, stopAgent } from './installation.ts';
import { removeMade } from './made.ts';
import type { MadeParts } from './made.ts';

const WORDS = { done: 'done', warning: 'warning', failed: 'FAILED' } as const;

/** @param keepData keeps state, settings and images for the next installation */
export async function uninstallHost(config: Config, keepData: boolean): Promise<void> {
  const installed = isInstalled(process.execPath);
  const ok = !installed || (await tell([stopAgent]));
  const engine = makeEngine({ socketPath: config.dockerSocket });
  if (!ok || !(await removeMade(madeParts(config, engine, keepData)))) {
    // The identity stays: it tells our objects from others' in the next run.
    process.exitCode = 1;
    return;
  }
  if (installed && !(await tell(installationThings(engine, keepData)))) {
    process.exitCode = 1;
    return;
  }
  rmSync(config.agentSocket, { force: true });
  if (keepData) process.stdout.write(`done     state: ${config.stateFolder} kept\n`);
  else removeState(config);
  if (installed) listKept(removeFolders(keepData));
}

/**
 * Leaves the hub: removes the agent's state and everything that it made. Programs, the proxy and a hub on this host
 * stay, so that the host can join another hub, or a replacement of its own.
 */
export async function leaveHub(config: Config): Promise<void> {
  const stopped = !isInstalled(process.execPath) || (await tell([stopAgent]));
  const engine = makeEngine({ socketPath: config.dockerSocket });
  if (!stopped || !(await removeMade(madeParts(config, engine, false)))) {
    process.exitCode = 1;
    return;
  }
  rmSync(config.agentSocket, { force: true });
  removeState(config);
  process.stdout.write(
    "To join a hub, run the command that `orkestr hosts add NAME` prints, or on the hub's own host install.sh --hub-here again.\n",
  );
}

function removeState({ stateFolder }: Config): void {
  listKept(removeFolder(stateFolder));
  process.stdout.write(`done     state: ${stateFolder} removed\n`);
}

const listKept = (kept: readonly string[]): void => {
  for (const what of kept) process.stdout.write(`${WORDS.warning.padEnd(7)}  ${what}\n`);
};

const madeParts = (config: Config, engine: Engine, keepData: boolean): MadeParts => ({
  stateFolder: config.stateFolder,
  engine,
  installed: isInstalled(process.execPath),
  keepData,
  thingsOf: (scope) => agentThings(config, scope, keepData),
  tell,
});

async function tell(cleanups: readonly Cleanup[]): Promise<boolean> {
  const results = await uninstall(cleanups, ({ what, level, told }) =>
    process.stdout.write(`${WORDS[level].padEnd(7)}  ${what}: ${told}\n`),
  );
  return results.every(({ level }) => level !== 'failed');
}
