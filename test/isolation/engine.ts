/** An engine with the base images that the trial's containers start from; one that was started for it is stopped again. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { ensureBaseImages } from '../../installer/prepare/base-images.ts';
import { DOCKER_SOCKET, ensureEngine, stopEngine } from '../../installer/prepare/engine.ts';
import { agentArgv, agentEnv, ROOT, runFolderOf } from '../../installer/stack/stack.ts';
import { Home } from '../../installer/start/home.ts';
import { enginePlan, stackPlan } from '../../installer/start/installation.ts';

const say = (text: string): void => console.log(`  ${text}`);

export async function withTestEngine<T>(work: () => Promise<T>): Promise<T> {
  const home = new Home(join(ROOT, '.orkestr'));
  home.make();
  await ensureEngine(enginePlan(home), say);
  const engine = new EngineApi(DOCKER_SOCKET);
  try {
    const env = agentEnv(stackPlan(home, 1, 1));
    say(await ensureBaseImages({ engine, kinds: ['node'], agentArgv: agentArgv(), env, say }));
    return await work();
  } finally {
    await engine.close();
    // An `npm start` of this folder shares the engine, and stops it when it ends.
    if (!home.isLocked()) {
      await stopEngine(enginePlan(home));
      rmSync(runFolderOf(home.folder), { recursive: true, force: true });
    }
  }
}
