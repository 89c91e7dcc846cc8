/** Sees to it that the sandbox has the images a Dockerfile starts from: from the host's engine, else from a registry. */
import { createHash } from 'node:crypto';
import type { RegistryLogin } from '../../protocol/job.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { type Engine, orNull } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';
import type { StepLog } from '../deployment/ports.ts';
import { hasMount } from './dockerfile/mounts.ts';
import { refused } from './dockerfile/refused.ts';
import { contentOf } from './image-content.ts';
import { isPinned } from './image-name.ts';
import { readAnswer } from '../lib/engine-answer.ts';
import { dropImage } from '../registry/drop-image.ts';
import { authConfigOf, findLogin, registryOf } from '../registry/login.ts';
import { transferImage } from './transfer.ts';

const PULL_TIMEOUT_MS = 10 * 60_000;
/** Repository of the tags that say whose login an image was pulled with. No registry has a name under `.invalid` (RFC 6761). */
const PRIVATE = 'orkestr.invalid/private';

export interface Supply {
  readonly host: Engine;
  readonly sandbox: Engine;
  readonly projectId: string;
  readonly registries: readonly RegistryLogin[];
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

/**
 * Image name → id of what the build will use, on the host where it is there, else in the sandbox.
 * @throws OrkestrError ORK_BASE_IMAGE
 */
export async function supplyImages(supply: Supply, names: readonly string[]): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const name of names) ids[name] = await supplyImage(supply, name);
  return ids;
}

async function supplyImage(supply: Supply, name: string): Promise<string> {
  const { host, sandbox, log, signal, projectId, registries } = supply;
  const login = findLogin(registries, registryOf(name));
  const [onHost, inSandbox] = [isPinned(name) ? null : await lookUp(host, name), await lookUp(sandbox, name)];
  if (onHost !== null) {
    if (onHost.content === inSandbox?.content) return onHost.id;
    log.line(`Taking base image ${name} from this host`);
    await transferImage(host, sandbox, name, signal);
    // The one it replaces has lost its name and would stay for ever. Still in use by a cached layer: then it stays.
    if (inSandbox !== null) await dropImage(sandbox, inSandbox.id);
    return onHost.id;
  }
  // One that was pulled with a login is had again with a login only: the registry decides who may.
  if (inSandbox !== null && login === undefined && !inSandbox.isPrivate) return inSandbox.id;
  log.line(`Pulling base image ${name}${login === undefined ? '' : ` with the login for ${login.host}`}`);
  await pull(sandbox, name, login, signal);
  const pulled = await lookUp(sandbox, name);
  if (pulled === null) throw missing(name, ['it was pulled and is not there']);
  if (login !== undefined) await markPrivate(sandbox, name, projectId);
  if (inSandbox !== null && inSandbox.id !== pulled.id) await dropImage(sandbox, inSandbox.id);
  return pulled.id;
}

interface BaseImage {
  /** As this engine names it. */
  readonly id: string;
  /** The same on both engines. */
  readonly content: string;
  /** It was pulled with somebody's login. */
  readonly isPrivate: boolean;
}

/**
 * What an engine has under a name, or null. What a deployment built is nobody's base image: it may be another team's code.
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED for one whose triggers mount caches, which would be anybody's
 */
async function lookUp(engine: Engine, name: string): Promise<BaseImage | null> {
  const info = await orNull(engine.call(`look for image ${name}`, (docker) => docker.getImage(name).inspect()));
  if (info === null || info.Config?.Labels?.[LABEL.deployment] !== undefined) return null;
  const triggers: unknown = info.Config?.OnBuild;
  if (Array.isArray(triggers) && triggers.some((trigger) => hasMount(String(trigger)))) {
    throw refused(`The base image ${name} has an ONBUILD trigger with a mount, which is not possible here`);
  }
  const tags: unknown = info.RepoTags; // null for an image without any
  const isPrivate = Array.isArray(tags) && tags.some((tag) => String(tag).startsWith(`${PRIVATE}:`));
  return { id: info.Id, content: contentOf(info), isPrivate };
}

/** A second tag of the image, one per project and name; images of an engine take no labels afterwards. */
async function markPrivate(sandbox: Engine, name: string, projectId: string): Promise<void> {
  const tag = createHash('sha256').update(`${projectId}/${name}`).digest('hex').slice(0, 40);
  await sandbox.call('mark a private image', (docker) => docker.getImage(name).tag({ repo: PRIVATE, tag }));
}

async function pull(
  sandbox: Engine,
  name: string,
  login: RegistryLogin | undefined,
  signal: AbortSignal,
): Promise<void> {
  let failure: string | null;
  try {
    failure = await sandbox.call(
      `pull ${name}`,
      async (docker, abortSignal) => {
        const options = { abortSignal, ...(login !== undefined && { authconfig: authConfigOf(login) }) };
        return (await readAnswer(await docker.pull(withTag(name), options))).error;
      },
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
  return isPinned(name) || /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

function missing(name: string, evidence: readonly string[]): OrkestrError {
  const why = isPinned(name)
    ? 'cannot be pulled, and an image named by its digest is only available from a registry. Without a registry, name it by its tag'
    : 'is not on this host and cannot be pulled. Without a registry, build it with `orkestr-agent base-images build`';
  const text = `The base image ${name} ${why}; for a private image, add a login with \`orkestr registry add\`.`;
  return new OrkestrError('ORK_BASE_IMAGE', text, { evidence });
}
