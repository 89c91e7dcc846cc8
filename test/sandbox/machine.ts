/** Docker Engine and base images of this machine: what is missing is started and made, what was started is stopped again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBaseImages } from '../../installer/prepare/base-images.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET, ensureEngine, stopEngine } from '../../installer/prepare/engine.ts';
import { agentArgv, agentEnv, ROOT, runFolderOf } from '../../installer/stack/stack.ts';
import { Home } from '../../installer/start/home.ts';
import { enginePlan, stackPlan } from '../../installer/start/installation.ts';

/** @param work gets the socket of the host's engine */
export async function withEngine<T>(say: (text: string) => void, work: (socket: string) => Promise<T>): Promise<T> {
  const home = new Home(join(ROOT, '.orkestr'));
  home.make();
  const { version, origin } = await ensureEngine(enginePlan(home), say);
  say(`Docker Engine ${version}, ${origin}`);
  try {
    await prepareImages(home, say);
    return await work(DOCKER_SOCKET);
  } finally {
    // An `npm start` that runs at the same time shares the engine, and stops it when it ends.
    if (!home.isLocked()) {
      await stopEngine(enginePlan(home));
      rmSync(runFolderOf(home.folder), { recursive: true, force: true });
    }
  }
}

async function prepareImages(home: Home, say: (text: string) => void): Promise<void> {
  const engine = new EngineApi(DOCKER_SOCKET);
  const temporary = mkdtempSync(join(tmpdir(), 'ork-images-'));
  try {
    const plan = { ...stackPlan(home, 1, 1), folder: join(temporary, 'base-images'), runFolder: temporary };
    say(await ensureBaseImages({ engine, kinds: ['node'], agentArgv: agentArgv(), env: agentEnv(plan), say }));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    await engine.close();
  }
}
