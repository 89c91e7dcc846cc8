/** Base images for the apps: the product's own. registries.ts puts package registries on some of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RECIPES } from '../../agent/base-images/recipes/index.ts';
import { ensureBaseImages } from '../../installer/prepare/base-images.ts';
import type { BaseImageKind } from '../../installer/prepare/base-images.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';
import { agentArgv, agentEnv } from '../../installer/stack/stack.ts';
import type { Home } from '../../installer/start/home.ts';
import { stackPlan } from '../../installer/start/installation.ts';

/** Makes what is absent of all base images. They stay on the machine, as with `npm test`. */
export async function makeBaseImages(home: Home, say: (line: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ork-images-'));
  const engine = new EngineApi(DOCKER_SOCKET);
  try {
    const env = agentEnv({ ...stackPlan(home, 1, 1), folder, runFolder: folder });
    const kinds = RECIPES.map(({ kind }) => kind as BaseImageKind);
    say(await ensureBaseImages({ engine, kinds, agentArgv: agentArgv(), env, say }));
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
