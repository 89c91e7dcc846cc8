/** Provides the sandbox with the base images of a Dockerfile: from the host's engine, else from a registry. */
import { createHash } from 'node:crypto';
import type { RegistryLogin } from '../../../protocol/job.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { type Engine, orNull } from '../../lib/engine.ts';
import { LABEL } from '../../lib/labels.ts';
import type { StepLog } from '../../deployment/ports.ts';
import type { AskedTags } from './asked-tags.ts';
import { hasMount } from '../dockerfile/mounts.ts';
import { refused } from '../dockerfile/refused.ts';
import { contentOf } from '../handoff/image-content.ts';
import { isPinned } from '../handoff/image-name.ts';
import { readAnswer } from '../../lib/engine-answer.ts';
import { dropImage } from '../../registry/drop-image.ts';
import { authConfigOf, findLogin, registryOf } from '../../registry/login.ts';
import { transferImage } from '../handoff/transfer.ts';

const PULL_TIMEOUT_MS = 10 * 60_000;
/** Repository of the tags that mark images pulled with a login. `.invalid` exists in no registry (RFC 6761). */
const PRIVATE = 'orkestr.invalid/private';

export interface Supply {
  readonly host: Engine;
  readonly sandbox: Engine;
  readonly projectId: string;
  readonly registries: readonly RegistryLogin[];
  readonly log: StepLog;
  readonly signal: AbortSignal;
  readonly askedTags: AskedTags;
}

/**
 * Image name → id of the image that the build will use: its id on the host if it is there, else in the sandbox.
 * @throws OrkestrError ORK_BASE_IMAGE
 */
export async function supplyImages(supply: Supply, names: readonly string[]): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const name of names) ids[name] = await supplyImage(supply, name);
  return ids;
}

async function supplyImage(supply: Supply, name: string): Promise<string> {
  const { host, sandbox, log, signal, registries } = supply;
  const login = findLogin(registries, registryOf(name));
  const [onHost, inSandbox] = [isPinned(name) ? null : await lookUp(host, name), await lookUp(sandbox, name)];
  if (onHost !== null) {
    if (onHost.content === inSandbox?.content) return onHost.id;
    log.line(`Taking base image ${name} from this host`);
    await transferImage(host, sandbox, name, signal);
    if (inSandbox !== null) await dropReplaced(sandbox, inSandbox.id);
    return onHost.id;
  }
  // An image that needed a login is pulled again, so that the registry decides whether this project has access.
  if (inSandbox === null || login !== undefined || inSandbox.isPrivate)
    return pullAgain(supply, name, login, inSandbox);
  const isCurrent = isPinned(name) || supply.askedTags.isCurrent(sandbox, name, inSandbox.id);
  return isCurrent ? inSandbox.id : refresh(supply, name, inSandbox);
}

/** @param replaced the sandbox's copy so far @returns the id of the pulled image */
async function pullAgain(
  { sandbox, projectId, askedTags, log, signal }: Supply,
  name: string,
  login: RegistryLogin | undefined,
  replaced: BaseImage | null,
): Promise<string> {
  log.line(`Pulling base image ${name}${login === undefined ? '' : ` with the login for ${login.host}`}`);
  await pull(sandbox, name, login, signal);
  const pulled = await lookUp(sandbox, name);
  if (pulled === null) throw missing(name, ['it was pulled and is not there']);
  if (login !== undefined) await markPrivate(sandbox, name, projectId);
  askedTags.confirm(sandbox, name, pulled.id);
  if (replaced !== null && replaced.id !== pulled.id) await dropReplaced(sandbox, replaced.id);
  return pulled.id;
}

/** Asks the registry for a newer version. If that fails, the build takes the copy, and the next ones for a day too. */
async function refresh(supply: Supply, name: string, copy: BaseImage): Promise<string> {
  try {
    const id = await pullAgain(supply, name, undefined, copy);
    if (id !== copy.id) supply.log.line(`Base image ${name} has a newer version, which this build uses`);
    return id;
  } catch (error) {
    if (supply.signal.aborted || !(error instanceof OrkestrError) || error.code !== 'ORK_BASE_IMAGE') throw error;
    const why = error.evidence.join(' ');
    supply.log.line(
      `warning: The registry was asked for base image ${name}: ${why}. The build uses the copy on this host`,
    );
    supply.askedTags.confirm(supply.sandbox, name, copy.id);
    return copy.id;
  }
}

interface BaseImage {
  /** Its id in this engine. */
  readonly id: string;
  /** Equal for the same image in both engines. */
  readonly content: string;
  /** It was pulled with a login. */
  readonly isPrivate: boolean;
}

/**
 * An engine's image of this name, or null. Excludes images built by a deployment: they may hold another team's code.
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED if its ONBUILD triggers mount caches, which all projects would share
 */
async function lookUp(engine: Engine, name: string): Promise<BaseImage | null> {
  const info = await orNull(engine.call(`look for image ${name}`, (docker) => docker.getImage(name).inspect()));
  if (info === null || info.Config?.Labels?.[LABEL.deployment] !== undefined) return null;
  const triggers: unknown = info.Config?.OnBuild;
  if (Array.isArray(triggers) && triggers.some((trigger) => hasMount(String(trigger)))) {
    throw refused(`The base image ${name} has an ONBUILD trigger with a mount, which is not possible here`);
  }
  const tags: unknown = info.RepoTags; // null for an image without tags
  const isPrivate = Array.isArray(tags) && tags.some((tag) => String(tag).startsWith(`${PRIVATE}:`));
  return { id: info.Id, content: contentOf(info), isPrivate };
}

/**
 * Removes an image that has lost its name and would stay forever, unless another name leads to it: given an id, the
 * engine would remove the last one. It keeps the image if a cached layer still uses it.
 */
async function dropReplaced(sandbox: Engine, id: string): Promise<void> {
  const info = await orNull(sandbox.call(`look at image ${id}`, (docker) => docker.getImage(id).inspect()));
  const tags: unknown = info?.RepoTags;
  const isNamed = Array.isArray(tags) && tags.some((tag) => !String(tag).startsWith(`${PRIVATE}:`));
  if (info !== null && !isNamed) await dropImage(sandbox, id);
}

/** Adds a tag, one per project and name, since an existing image cannot be labelled. */
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

/** Adds `latest`: given no tag, the engine would pull every tag. */
function withTag(name: string): string {
  return isPinned(name) || /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

/** What registries answer, and the engine passes on, when an address has pulled too often. */
const PULL_LIMIT = /toomanyrequests|too many requests|pull rate limit/i;

function missing(name: string, evidence: readonly string[]): OrkestrError {
  if (evidence.some((line) => PULL_LIMIT.test(line))) {
    const registry = registryOf(name);
    const limited = `The base image ${name} cannot be pulled: ${registry} allows no more pulls from the address of this host for now.`;
    const ways = `Deploy again later, or raise the limit with a login: \`orkestr registry add ${registry}\`.`;
    return new OrkestrError('ORK_BASE_IMAGE', `${limited} ${ways}`, { evidence });
  }
  const why = isPinned(name)
    ? 'cannot be pulled, and an image named by its digest is only available from a registry. Without a registry, name it by its tag'
    : 'is not on this host and cannot be pulled. Without a registry, build it with `orkestr-agent base-images build`';
  const text = `The base image ${name} ${why}; for a private image, add a login with \`orkestr registry add\`.`;
  return new OrkestrError('ORK_BASE_IMAGE', text, { evidence });
}
