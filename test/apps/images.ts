/** Base images for the apps: the product's own. registries.ts puts package registries on some of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseImages, withVersion } from '../../agent/detect/base-images.ts';
import { ensureBaseImages } from '../../installer/prepare/base-images.ts';
import type { BaseImageKind } from '../../installer/prepare/base-images.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { agentArgv, agentEnv } from '../../installer/stack/stack.ts';
import type { Home } from '../../installer/start/home.ts';
import { stackPlan } from '../../installer/start/installation.ts';
import { planOf } from '../fixtures/plan-of.ts';

const MAKE_TIMEOUT_MS = 900_000;

/** The kinds that the Dockerfiles of these fixture apps start from. */
export async function kindsOf(fixtures: readonly string[]): Promise<BaseImageKind[]> {
  const plans = await Promise.all(fixtures.map(planOf));
  const taken = new Set(plans.flatMap(({ dockerfile }) => dockerfile.text.split(/\s+/)));
  const names = Object.entries(BaseImages.parse({})) as [BaseImageKind, string][];
  return names.filter(([, name]) => taken.has(name)).map(([kind]) => kind);
}

/** Makes what is absent of them, and the one of another line of Node.js. They stay on the machine, as with `npm test`. */
export async function makeBaseImages(
  home: Home,
  { kinds, node }: { readonly kinds: readonly BaseImageKind[]; readonly node: string | undefined },
  say: (line: string) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ork-images-'));
  const engine = new EngineApi(DOCKER_SOCKET);
  try {
    const env = agentEnv({ ...stackPlan(home, 1, 1), folder, runFolder: folder });
    say(await ensureBaseImages({ engine, kinds, agentArgv: agentArgv(), env, say }));
    if (node === undefined || (await engine.hasImage(withVersion(BaseImages.parse({}).node, node)))) return;
    await mustRun(`the base image of Node.js ${node}`, [...agentArgv(), 'base-images', 'build', `node:${node}`], {
      env,
      timeoutMs: MAKE_TIMEOUT_MS,
    });
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
