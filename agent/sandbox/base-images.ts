/** Sees to it that the sandbox has the images a Dockerfile starts from: from the host's engine, else from a registry. */
import { OrkestrError } from '../../protocol/errors.ts';
import { type Engine, orNull } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';
import type { StepLog } from '../deployment/ports.ts';
import { readAnswer } from './engine-answer.ts';
import { transferImage } from './transfer.ts';

const PULL_TIMEOUT_MS = 10 * 60_000;

export interface Supply {
  readonly host: Engine;
  readonly sandbox: Engine;
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

/**
 * Image name → id that the build will use.
 * @throws OrkestrError ORK_BASE_IMAGE
 */
export async function supplyImages(supply: Supply, names: readonly string[]): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const name of names) ids[name] = await supplyImage(supply, name);
  return ids;
}

async function supplyImage(supply: Supply, name: string): Promise<string> {
  const { host, sandbox, log, signal } = supply;
  const [onHost, inSandbox] = [await lookUp(host, name), await lookUp(sandbox, name)];
  if (onHost !== null && onHost !== inSandbox) {
    log.line(`Taking base image ${name} from this host`);
    await transferImage(host, sandbox, name, signal);
    // The one it replaces has lost its name and would stay for ever. Still in use by a cached layer: then it stays.
    if (inSandbox !== null) await removeQuietly(sandbox, inSandbox);
    return onHost;
  }
  if (inSandbox !== null) return inSandbox;
  log.line(`Pulling base image ${name}`);
  await pull(sandbox, name, signal);
  const pulled = await lookUp(sandbox, name);
  if (pulled === null) throw missing(name, ['it was pulled and is not there']);
  return pulled;
}

/** Id of an image, or null. What a deployment built is nobody's base image: it may be another team's code. */
async function lookUp(engine: Engine, name: string): Promise<string | null> {
  const info = await orNull(engine.call(`look for image ${name}`, (docker) => docker.getImage(name).inspect()));
  return info === null || info.Config?.Labels?.[LABEL.deployment] !== undefined ? null : info.Id;
}

async function pull(sandbox: Engine, name: string, signal: AbortSignal): Promise<void> {
  let failure: string | null;
  try {
    failure = await sandbox.call(
      `pull ${name}`,
      async (docker, abortSignal) => (await readAnswer(await docker.pull(withTag(name), { abortSignal }))).error,
      { timeoutMs: PULL_TIMEOUT_MS, signal },
    );
  } catch (error) {
    if (error instanceof OrkestrError && error.code !== 'ORK_ENGINE_TIMEOUT') throw error;
    failure = error instanceof Error ? error.message : String(error);
  }
  if (failure !== null) throw missing(name, [failure.trim()]);
}

/** Without a tag the engine would pull every one of them. */
function withTag(name: string): string {
  return name.includes('@') || /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

/** A copy that stays takes room until the cache is pruned, and nothing else. */
async function removeQuietly(engine: Engine, id: string): Promise<void> {
  await engine.call(`remove image ${id}`, (docker) => docker.getImage(id).remove()).catch(() => undefined);
}

function missing(name: string, evidence: readonly string[]): OrkestrError {
  return new OrkestrError(
    'ORK_BASE_IMAGE',
    `The base image ${name} is neither on this host nor can it be pulled. Without a registry make it with \`orkestr-agent base-images build\`.`,
    { evidence },
  );
}
