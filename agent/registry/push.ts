/** Pushes a built image to its registry, through the engine that has it. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { RegistryLogin } from '../../protocol/job.ts';
import type { StepLog } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { readAnswer } from '../lib/engine-answer.ts';
import { authConfigOf, findLogin, registryOf } from './login.ts';
import { dropImage } from './drop-image.ts';
import { makeProgress } from './progress.ts';
import { refusalOf } from './refusal.ts';

const PUSH_TIMEOUT_MS = 15 * 60_000;
/** Sent if there is no login, since the engine rejects a request without the header. */
const NOBODY = {};

interface PushRequest {
  /** Its name or id in `engine`. */
  readonly image: string;
  /** `registry.example:5000/team/app` */
  readonly repository: string;
  /** For users, and so that the registry keeps the image: deployments use the digest. */
  readonly tag: string;
  readonly registries: readonly RegistryLogin[];
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

interface Pushed {
  /** `repository@sha256:…` */
  readonly reference: string;
  readonly layers: { readonly all: number; readonly sent: number };
}

/**
 * Pushes the image, and leaves no additional name in the engine.
 * @throws OrkestrError ORK_REGISTRY_LOGIN, ORK_REGISTRY_DENIED, ORK_REGISTRY_UNREACHABLE, ORK_REGISTRY_FAILED,
 * ORK_CANCELLED, the engine's codes
 */
export async function pushImage(engine: Engine, request: PushRequest): Promise<Pushed> {
  const { image, repository, tag, log } = request;
  const name = `${repository}:${tag}`;
  const login = findLogin(request.registries, registryOf(repository));
  log.line(`Pushing ${name}${login === undefined ? '' : ` with the login for ${login.host}`}`);
  await engine.call(`name image ${name}`, (docker) => docker.getImage(image).tag({ repo: repository, tag }));
  try {
    const { digest, layers } = await send(engine, name, login, request);
    const reference = `${repository}@${digest}`;
    log.line(`Pushed ${layers.all} layers, ${layers.sent} of them new in the registry: ${reference}`);
    return { reference, layers };
  } finally {
    // A remaining name would keep the layers forever. Removing a repository's last tag also removes the digest
    // reference that a push leaves (moby daemon/images/image_delete.go).
    await dropImage(engine, name);
  }
}

async function send(
  engine: Engine,
  name: string,
  login: RegistryLogin | undefined,
  { log, signal }: PushRequest,
): Promise<{ digest: string; layers: Pushed['layers'] }> {
  const progress = makeProgress('push', log, () => performance.now());
  let digest: string | undefined;
  const { error } = await engine.call(
    `push ${name}`,
    async (docker, abortSignal) =>
      readAnswer(
        await docker
          .getImage(name)
          .push({ authconfig: login === undefined ? NOBODY : authConfigOf(login), abortSignal }),
        (line) => {
          progress.take(line);
          if (typeof line.aux === 'object') digest ??= line.aux.Digest;
        },
      ),
    { timeoutMs: PUSH_TIMEOUT_MS, signal },
  );
  if (error !== null) throw refusalOf(`The image could not be pushed to ${name}`, name, error);
  if (digest === undefined)
    throw new OrkestrError('ORK_REGISTRY_FAILED', `Docker Engine pushed ${name} but reported no digest.`);
  return { digest, layers: progress.layers() };
}
