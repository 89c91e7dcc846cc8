/** `npm start -- --reset`: removes everything that npm start made on this machine. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { ensureEngine, stopEngine } from '../prepare/engine.ts';
import { unmountBelow } from '../prepare/mounts.ts';
import { mustRun } from '../stack/run-program.ts';
import { agentArgv, agentEnv, agentState, runFolderOf } from '../stack/stack.ts';
import { enginePlan, stackPlan } from './installation.ts';
import type { Context } from './installation.ts';
import { endLeftovers } from './processes.ts';

/** The caller, who holds its lock, removes the folder `.orkestr` itself. */
export async function reset({ home, progress }: Context): Promise<number> {
  const plan = stackPlan(home, 1, 1);
  await progress.stage('processes', async () => {
    const ended = await endLeftovers(plan);
    return ended === 0 ? 'none left running' : `${ended} ended`;
  });
  if (existsSync(agentState(plan))) {
    await progress.stage('this host', async (say) => {
      // Only the engine can remove containers, images and networks.
      await ensureEngine(enginePlan(home), say);
      await mustRun('orkestr-agent uninstall', [...agentArgv(), 'uninstall', '--purge'], { env: agentEnv(plan) });
      return 'containers, images, networks, firewall rules removed';
    });
  }
  await progress.stage('Docker Engine', async () =>
    (await stopEngine(enginePlan(home))) ? 'the one started here was stopped' : 'not ours, kept',
  );
  await progress.stage('files', async () => {
    for (const folder of [home.folder, runFolderOf(home.folder)]) {
      await unmountBelow(folder);
      // Keeps the lock of this run until the end.
      const entries = existsSync(folder) ? readdirSync(folder).filter((name) => name !== 'launcher.json') : [];
      for (const name of entries) rmSync(`${folder}/${name}`, { recursive: true, force: true });
    }
    rmSync(runFolderOf(home.folder), { recursive: true, force: true });
    return home.folder;
  });
  return 0;
}
