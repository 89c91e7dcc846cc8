/** Base images for generated Dockerfiles: pulled if a registry responds, else made on this machine by the agent. */
import { BaseImages, withVersion } from '../../agent/detect/base-images.ts';
import { mustRun } from '../stack/run-program.ts';
import type { EngineApi } from './engine-api.ts';

/** A kind, or another version of one: `node:24`. */
export type BaseImageKind = keyof BaseImages | `${keyof BaseImages}:${string}`;

/** How long a registry may take to start responding, ms. */
const REGISTRY_ANSWER_MS = 8000;

interface BaseImagePlan {
  readonly engine: EngineApi;
  readonly kinds: readonly BaseImageKind[];
  /** Runs `orkestr-agent`: its argv up to the sub-command, and its environment. */
  readonly agentArgv: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly say: (detail: string) => void;
  readonly signal?: AbortSignal;
}

/** @returns what was done, for people */
export async function ensureBaseImages(plan: BaseImagePlan): Promise<string> {
  const missing: BaseImageKind[] = [];
  for (const kind of plan.kinds) if (!(await plan.engine.hasImage(nameOf(kind)))) missing.push(kind);
  if (missing.length === 0) return `${plan.kinds.join(', ')}: there`;
  const toMake = await pullAll(plan, missing);
  if (toMake.length === 0) return `pulled ${missing.join(', ')}`;
  plan.say(`making ${toMake.join(', ')} from Debian packages; once per machine`);
  await mustRun('orkestr-agent base-images build', [...plan.agentArgv, 'base-images', 'build', ...toMake], {
    env: plan.env,
    timeoutMs: 900_000,
    ...(plan.signal ? { signal: plan.signal } : {}),
    onProgress: linePrinter(plan.say),
  });
  return `made ${toMake.join(', ')} here`;
}

/**
 * Tries the registry with the first image; if that fails, it tries no other. Returns the images that are still missing.
 */
async function pullAll(plan: BaseImagePlan, missing: readonly BaseImageKind[]): Promise<BaseImageKind[]> {
  for (const [index, kind] of missing.entries()) {
    const name = nameOf(kind);
    const reason = await plan.engine.pull(name, REGISTRY_ANSWER_MS, (text) => plan.say(`${name}: ${text}`));
    if (reason !== null) {
      plan.say(`no image registry is reachable (${firstLine(reason)})`);
      return missing.slice(index);
    }
  }
  return [];
}

function nameOf(wanted: BaseImageKind): string {
  const [kind, version] = wanted.split(':') as [keyof BaseImages, string?];
  const { [kind]: name } = BaseImages.parse({});
  return version === undefined ? name : withVersion(name, version);
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 160);

/** Passes on whole lines that are not blank. */
function linePrinter(say: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    // Bounds a line that does not end to more than a person would read.
    rest = (lines.pop() ?? '').slice(0, 1000);
    for (const line of lines) if (line.trim()) say(line.trim().slice(0, 200));
  };
}
