/** The port ImageRegistry: images that the host's engine pulls from registries, verified by digest. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { RegistryLogin } from '../../protocol/job.ts';
import type { ImageRegistry, PullRequest } from '../deployment/ports.ts';
import { type Engine, orNull, statusOf } from '../lib/engine.ts';
import { readAnswer } from '../lib/engine-answer.ts';
import { pulledRepository } from '../lib/labels.ts';
import { authConfigOf, findLogin, registryOf } from './login.ts';
import { dropImage } from './drop-image.ts';
import { makeProgress } from './progress.ts';
import { refusalOf } from './refusal.ts';

const PULL_TIMEOUT_MS = 15 * 60_000;

/** Throws OrkestrError ORK_IMAGE_GONE, ORK_IMAGE_DIGEST, codes of a registry's refusal, the engine's codes. */
export function makeImageRegistry(engine: Engine, { scope }: { readonly scope: string }): ImageRegistry {
  return {
    async whyMissing(reference, registries) {
      const authconfig = authConfig(registries, reference);
      try {
        await engine.call(`ask the registry for ${reference}`, (docker) =>
          docker.getImage(reference).distribution(authconfig === undefined ? {} : { authconfig }),
        );
        return null;
      } catch (error) {
        if (statusOf(error) === undefined) throw error;
        return refusalOf('The image is not available', reference, messageOf(error)).message;
      }
    },

    async pull(request) {
      const { image, owner } = request;
      const { registryReference: reference } = image;
      if (reference === undefined) throw new OrkestrError('ORK_IMAGE_GONE', `The image ${image.id} is in no registry.`);
      // An image that already has this name belongs to someone else and keeps the name.
      const before = await look(engine, reference);
      try {
        await fetchImage(engine, reference, request);
        const info = await engine.call(`inspect image ${reference}`, (docker) => docker.getImage(reference).inspect());
        checkImage(image, info);
        const repo = pulledRepository(scope, owner.environmentId);
        await engine.call(`name image ${repo}`, (docker) =>
          docker.getImage(reference).tag({ repo, tag: owner.deploymentId }),
        );
        return info.Id;
      } finally {
        // Its own name, which identifies the owner, is enough; another one would keep it from being pruned.
        if (before === null) await dropImage(engine, reference);
      }
    },
  };
}

const look = (engine: Engine, name: string): Promise<unknown> =>
  orNull(engine.call(`look for image ${name}`, (docker) => docker.getImage(name).inspect()));

async function fetchImage(engine: Engine, reference: string, { registries, log, signal }: PullRequest): Promise<void> {
  const progress = makeProgress('pull', log, () => performance.now());
  const authconfig = authConfig(registries, reference);
  log.line(`Pulling ${reference}${authconfig === undefined ? '' : ` with the login for ${authconfig.serveraddress}`}`);
  const refused = (said: string): OrkestrError => refusalOf('The image could not be pulled', reference, said);
  const error = await engine.call(
    `pull ${reference}`,
    async (docker, abortSignal) => {
      const options = { abortSignal, ...(authconfig !== undefined && { authconfig }) };
      try {
        return (await readAnswer(await docker.pull(reference, options), (line) => progress.take(line))).error;
      } catch (cause) {
        // A failure before the first layer is an HTTP status rather than a line.
        if (statusOf(cause) === undefined) throw cause;
        return messageOf(cause);
      }
    },
    { timeoutMs: PULL_TIMEOUT_MS, signal },
  );
  if (error !== null) throw refused(error);
  const { all, sent } = progress.layers();
  log.line(`Pulled ${all} layers, ${sent} of them new on this host`);
}

/**
 * Checks that this is the image that was built. The engine has verified all digests from the manifest down. Compares
 * the id, or the layers, since containerd's image store names an image by its manifest. That store lists no layers of
 * an image if it had already unpacked some of them under other digests; then the requested digest must suffice.
 */
function checkImage(
  { id, layers, registryReference }: PullRequest['image'],
  info: { readonly Id: string; readonly RootFS: { readonly Layers?: readonly string[] | undefined } },
): void {
  const there = info.RootFS.Layers ?? [];
  if (info.Id === id) return;
  if (there.length === 0 && registryReference?.endsWith(`@${info.Id}`) === true) return;
  if (layers?.length === there.length && layers.every((layer, at) => layer === there[at])) return;
  throw new OrkestrError(
    'ORK_IMAGE_DIGEST',
    `${registryReference} is ${info.Id}, and not the image ${id} that was built.`,
  );
}

function authConfig(
  registries: readonly RegistryLogin[],
  reference: string,
): ReturnType<typeof authConfigOf> | undefined {
  const login = findLogin(registries, registryOf(reference));
  return login === undefined ? undefined : authConfigOf(login);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
