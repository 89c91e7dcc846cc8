/** Docker Engine and base images of this machine: starts and makes what is missing, and stops what it has started. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBaseImages } from '../../installer/prepare/base-images.ts';
import type { BaseImageKind } from '../../installer/prepare/base-images.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET, ensureEngine, stopEngine } from '../../installer/prepare/engine.ts';
import { agentArgv, agentEnv, ROOT, runFolderOf } from '../../installer/stack/stack.ts';
import { Home } from '../../installer/start/home.ts';
import { enginePlan, stackPlan } from '../../installer/start/installation.ts';

interface EngineNeeds {
  /** Base images that `work` uses. They stay on the machine, as with `npm test`. */
  readonly kinds: readonly BaseImageKind[];
  readonly say: (text: string) => void;
}

/** @param work gets the socket of the machine's engine */
export async function withEngine<T>({ kinds, say }: EngineNeeds, work: (socket: string) => Promise<T>): Promise<T> {
  const home = new Home(join(ROOT, '.orkestr'));
  home.make();
  const { version, origin } = await ensureEngine(enginePlan(home), say);
  say(`Docker Engine ${version}, ${origin}`);
  try {
    await makeBaseImages(home, kinds, say);
    return await work(DOCKER_SOCKET);
  } finally {
    // An `npm start` that runs at the same time shares the engine, and stops it when it ends.
    if (!home.isLocked()) {
      await stopEngine(enginePlan(home));
      rmSync(runFolderOf(home.folder), { recursive: true, force: true });
    }
  }
}

async function makeBaseImages(home: Home, kinds: readonly BaseImageKind[], say: (text: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ork-images-'));
  const engine = new EngineApi(DOCKER_SOCKET);
  try {
    const env = agentEnv({ ...stackPlan(home, 1, 1), folder, runFolder: folder });
    say(await ensureBaseImages({ engine, kinds, agentArgv: agentArgv(), env, say }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await engine.close();
  }
}
