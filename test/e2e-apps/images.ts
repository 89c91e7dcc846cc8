/** Base images for the apps: the product's own, and those that also carry a package registry (registries.ts). */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RECIPES } from '../../agent/base-images/recipes/index.ts';
import { ensureBaseImages } from '../../installer/prepare/base-images.ts';
import type { BaseImageKind } from '../../installer/prepare/base-images.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';
import type { EnginePlan } from '../../installer/prepare/engine.ts';
import { agentArgv, agentEnv, ROOT, runFolderOf } from '../../installer/stack/stack.ts';

/** An engine that nobody runs is started under the same plan as by `npm start` and `npm test`. */
export const ENGINE: EnginePlan = {
  folder: join(ROOT, '.orkestr', 'engine'),
  runFolder: `${runFolderOf(join(ROOT, '.orkestr'))}/engine`,
  logFile: join(ROOT, '.orkestr', 'logs', 'engine.log'),
  socket: DOCKER_SOCKET,
  systemd: existsSync('/run/systemd/system'),
};

/** Makes what is absent of all base images. They stay on the machine, as with `npm test`. */
export async function makeBaseImages(say: (line: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ork-images-'));
  const engine = new EngineApi(DOCKER_SOCKET);
  const plan = {
    folder,
    runFolder: folder,
    hubListen: '127.0.0.1:0',
    proxyListen: '127.0.0.1:0',
    appsUrl: 'http://localhost',
    dockerSocket: DOCKER_SOCKET,
  };
  try {
    const kinds = RECIPES.map(({ kind }) => kind as BaseImageKind);
    say(await ensureBaseImages({ engine, kinds, agentArgv: agentArgv(), env: agentEnv(plan), say }));
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
