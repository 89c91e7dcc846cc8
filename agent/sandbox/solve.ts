/** One build by BuildKit in the sandbox: context in, log out, and every way it can fail under its own code. */
import type { Readable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildRequest } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { LABEL, ownerLabels } from '../lib/labels.ts';
import { makeBuildLog } from './build-log.ts';
import { type BuildStatus, makeStatusDecoder } from './build-status.ts';
import { packContext } from './context.ts';
import type { Dockerfile } from './dockerfile/dockerfile.ts';
import { readAnswer } from './engine-answer.ts';
import { explainFailure } from './failure.ts';
import type { SandboxLease } from './sandbox.ts';
import { type BuildSession, openSession } from './session/session.ts';

/** The engine's own deadline lies behind ours, which tells whose time ran out. */
const DEADLINE_MARGIN_MS = 30_000;

/**
 * Build `request` in the sandbox under its reference.
 * @throws OrkestrError the codes under "build", ORK_CANCELLED, ORK_DISK_FULL
 */
export async function solve(
  { engine, cgroup }: SandboxLease,
  scope: string,
  request: BuildRequest,
  dockerfile: Dockerfile,
  baseImages: Readonly<Record<string, string>>,
): Promise<void> {
  const { limits, log } = request;
  const decode = await makeStatusDecoder();
  const buildLog = makeBuildLog(log);
  const timeLimit = AbortSignal.timeout(limits.timeoutSeconds * 1000);
  const context = contextOf(request, dockerfile);
  const query = {
    // As a number: for the string dockerode would open a session of its own, which it never closes when a build is cancelled.
    version: 2 as unknown as '2',
    t: request.reference,
    dockerfile: request.plan.dockerfile.path,
    networkmode: 'default',
    ...(request.plan.target !== undefined && { target: request.plan.target }),
    buildargs: request.plan.buildArgs ?? {},
    labels: { ...ownerLabels(scope, request.owner), [LABEL.baseImages]: JSON.stringify(baseImages) },
  };
  let session: BuildSession | null = null;
  try {
    session = await sessionFor(engine, request, dockerfile);
    const asked = { ...query, ...(session !== null && { session: session.id }) };
    const built = { imageId: null as string | null };
    const { error } = await engine.call(
      'build an image',
      async (docker, abortSignal) =>
        readAnswer(await docker.buildImage(context, { ...asked, abortSignal }), ({ id, aux }) => {
          if (id === 'moby.buildkit.trace' && typeof aux === 'string')
            buildLog.take(inWordsOfSource(decode(aux), dockerfile));
          if (id === 'moby.image.id' && typeof aux === 'object') built.imageId = aux.ID ?? null;
        }),
      {
        timeoutMs: limits.timeoutSeconds * 1000 + DEADLINE_MARGIN_MS,
        signal: AbortSignal.any([request.signal, timeLimit]),
      },
    );
    if (error !== null)
      throw explainFailure(dockerfile.shown(error), buildLog.failed(), await cgroup.oomKills(), limits);
    if (built.imageId === null)
      throw new OrkestrError('ORK_SANDBOX', 'The build engine ended in the middle of the build.');
  } catch (error) {
    await cgroup.killAll(); // BuildKit ends a cancelled RUN within seconds; this ends it now
    throw classify(error, request, timeLimit);
  } finally {
    session?.close();
    context.destroy();
  }
}

/** Only for builds that have something to ask for. */
async function sessionFor(
  engine: Engine,
  { secrets, registries, signal }: BuildRequest,
  dockerfile: Dockerfile,
): Promise<BuildSession | null> {
  if (dockerfile.secrets.length === 0 && registries.length === 0) return null;
  const byId = new Map(Object.entries(secrets).map(([name, value]) => [dockerfile.secretId(name), value]));
  return openSession(engine, { secrets: byId, registries }, signal);
}

/** The engine speaks of the text that it builds; people know the one that they wrote. */
function inWordsOfSource({ vertexes, logs }: BuildStatus, dockerfile: Dockerfile): BuildStatus {
  return { logs, vertexes: vertexes.map((vertex) => ({ ...vertex, name: dockerfile.shown(vertex.name) })) };
}

function classify(error: unknown, request: BuildRequest, timeLimit: AbortSignal): unknown {
  if (request.signal.aborted) return new OrkestrError('ORK_CANCELLED', 'The build was cancelled.');
  if (timeLimit.aborted) {
    const seconds = request.limits.timeoutSeconds;
    return new OrkestrError('ORK_BUILD_TIMEOUT', `The build did not end within its limit of ${seconds} s.`);
  }
  const code = error instanceof OrkestrError ? error.code : undefined;
  if (code !== undefined && code !== 'ORK_ENGINE_UNREACHABLE' && code !== 'ORK_ENGINE_TIMEOUT') return error;
  // The engine in question is the sandbox's, not the host's.
  const evidence = [error instanceof Error ? error.message : String(error)];
  return new OrkestrError('ORK_SANDBOX', 'The build engine failed during the build.', { evidence, cause: error });
}

function contextOf(request: BuildRequest, dockerfile: Dockerfile): Readable {
  const { plan, contextDirectory } = request;
  const files = new Map(plan.files.map(({ path, text }) => [path, text]));
  files.set(plan.dockerfile.path, dockerfile.text);
  return packContext({ directory: contextDirectory, dockerfilePath: plan.dockerfile.path, files });
}
