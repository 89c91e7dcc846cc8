/** One build by BuildKit in the sandbox: context in, log out, and an error code for each kind of failure. */
import { Readable } from 'node:stream';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { BuildLimits } from '../../../protocol/job.ts';
import type { BuildRequest } from '../../deployment/ports.ts';
import type { Engine } from '../../lib/engine.ts';
import { BuildLog, type BuiltStep } from '../progress/build-log.ts';
import { type BuildStatus, makeStatusDecoder } from '../progress/build-status.ts';
import { type ContextEntry, contextEntries, dockerfileTree } from '../context/context.ts';
import { takeContext } from '../context/size.ts';
import { timedByBuild } from '../context/time.ts';
import { makeCurrentStep } from '../progress/current-step.ts';
import type { Dockerfile } from '../dockerfile/dockerfile.ts';
import type { ProxyArguments } from '../egress/build-egress.ts';
import { readAnswer } from '../../lib/engine-answer.ts';
import { humanSize } from '../../../protocol/size.ts';
import { volumeWarning } from '../../lib/volumes.ts';
import { explainFailure } from './failure.ts';
import { breachIn, imageBreach, timeBreach, toError, withLargest } from './limits.ts';
import { buildVariables } from './missing-variable.ts';
import type { HeldSlot } from '../slot/slot.ts';
import { isLost, overSession } from '../session/lost-session.ts';
import type { BuildSession } from '../session/session.ts';
import { type LimitWatch, watchLimits } from './watch.ts';

/** The engine's deadline comes after our own, so that we can tell which limit was exceeded. */
const DEADLINE_MARGIN_MS = 30_000;
/** BuildKit's name for assembling the image. */
const EXPORTING = 'exporting to image';

interface SolveInput {
  readonly dockerfile: Dockerfile;
  /** Labels of the image. */
  readonly labels: Readonly<Record<string, string>>;
  readonly proxyArguments: ProxyArguments;
  /** Called, possibly repeatedly, once all commands have run and the image is being assembled. */
  readonly onExport: () => void;
}

/**
 * Builds `request` in the sandbox under its reference. Returns the steps, both executed and cached.
 * @throws OrkestrError the codes under "build", ORK_CANCELLED, ORK_DISK_FULL (the host's)
 */
export async function solve(slot: HeldSlot, request: BuildRequest, input: SolveInput): Promise<readonly BuiltStep[]> {
  const { engine, cgroup, clock } = slot;
  const { limits, log } = request;
  const { dockerfile } = input;
  const decode = await makeStatusDecoder();
  const buildLog = new BuildLog(log, () => clock.monotonic());
  const step = makeCurrentStep();
  const timeLimit = AbortSignal.timeout(limits.timeoutSeconds * 1000);
  const watch = await watchLimits(slot, limits);
  const ending = AbortSignal.any([request.signal, timeLimit, watch.signal]);
  const deadline = { timeoutMs: limits.timeoutSeconds * 1000 + DEADLINE_MARGIN_MS, signal: ending };
  const take = (trace: string): void => {
    const status = inWordsOfSource(decode(trace), dockerfile);
    step.take(status);
    for (const each of status.logs) watch.countLog(each);
    if (!watch.signal.aborted) buildLog.take(status);
    if (status.vertexes.some(({ name }) => name === EXPORTING)) input.onExport();
  };
  try {
    const context = await takeContext(contextOf(request, dockerfile, clock.now()), limits, clock, ending);
    const { error, imageId, sync } = await overSession(
      () => sessionFor(engine, request, dockerfile, context),
      (session) => build(engine, session, queryOf(request, input), take, deadline),
      () => {
        buildLog.again();
        log.line('The build engine lost its connection to the agent, as on an overloaded host. Building again');
      },
    );
    const taken = await watch.look();
    if (sync.failure !== null) throw contextChanged(sync.failure);
    if (error !== null && isLost(error)) throw sessionLost(error);
    if (error !== null) {
      throw explainFailure(dockerfile.shown(error), buildLog.failed, taken, limits, buildVariables(request));
    }
    if (imageId === null) throw new OrkestrError('ORK_SANDBOX', 'The build engine exited during the build.');
    if (taken.refusedForks > 0) log.line(`The build met its limit of ${limits.pids} processes and went on.`);
    log.line(describeSync(context, sync));
    await checkImage(engine, request, limits);
    return buildLog.steps;
  } catch (error) {
    // BuildKit takes seconds to end a cancelled RUN; this ends it now.
    await cgroup.killAll();
    throw await classify(error, request, { timeLimit, watch, command: step.command() });
  } finally {
    watch.stop();
    buildLog.end();
  }
}

interface Answer {
  readonly error: string | null;
  /** Null if the engine exited. */
  readonly imageId: string | null;
  readonly sync: BuildSession['sync'];
}

/** @param take gets each trace of the build's progress (progress/build-status.ts) */
async function build(
  engine: Engine,
  session: BuildSession,
  query: ReturnType<typeof queryOf>,
  take: (trace: string) => void,
  deadline: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Answer> {
  let imageId: string | null = null;
  const { error } = await engine.call(
    'build an image',
    async (docker, abortSignal) => {
      const options = { ...query, remote: 'client-session', session: session.id, abortSignal };
      return readAnswer(await docker.buildImage(Readable.from([]), options), ({ id, aux }) => {
        if (id === 'moby.buildkit.trace' && typeof aux === 'string') take(aux);
        if (id === 'moby.image.id' && typeof aux === 'object') imageId = aux.ID ?? null;
      });
    },
    deadline,
  );
  return { error, imageId, sync: session.sync };
}

/** Parameters of the request (Docker Engine API, POST /build). */
function queryOf({ reference, plan }: BuildRequest, { labels, proxyArguments }: SolveInput) {
  return {
    // A number: given the string, dockerode opens its own session, which it never closes when a build is cancelled.
    version: 2 as unknown as '2',
    t: reference,
    dockerfile: plan.dockerfile.path,
    networkmode: 'default',
    ...(plan.target !== undefined && { target: plan.target }),
    buildargs: { ...plan.buildArgs, ...proxyArguments },
    labels,
  };
}

/** The session over which the engine requests all build inputs. */
async function sessionFor(
  engine: Engine,
  { owner, plan, secrets, registries, signal }: BuildRequest,
  dockerfile: Dockerfile,
  context: readonly ContextEntry[],
): Promise<BuildSession> {
  const byId = new Map(Object.entries(secrets).map(([name, value]) => [dockerfile.secretId(name), value]));
  const content = {
    sharedKey: owner.environmentId,
    context,
    dockerfile: dockerfileTree(plan.dockerfile.path, dockerfile.text),
    secrets: byId,
    registries,
  };
  // Imported late, so that an agent that does not build keeps HTTP/2 and the rest out of memory.
  const { openSession } = await import('../session/session.ts');
  return openSession(engine, content, signal);
}

function describeSync(context: readonly ContextEntry[], { files, bytes }: BuildSession['sync']): string {
  const all = context.filter(({ kind }) => kind === 'file').length;
  return `context of ${all} files, ${files} of them new to the build engine: ${humanSize(bytes)}`;
}

const sessionLost = (error: string): OrkestrError =>
  new OrkestrError('ORK_SANDBOX', 'The build engine lost its connection to the agent several times.', {
    evidence: [error],
  });

const contextChanged = (cause: Error): OrkestrError =>
  new OrkestrError('ORK_CONTEXT_CHANGED', `The checkout changed while it was being built: ${cause.message}`, { cause });

/** The engine names commands as in the text that it builds. The log shows them as the author wrote them. */
function inWordsOfSource(status: BuildStatus, dockerfile: Dockerfile): BuildStatus {
  return { ...status, vertexes: status.vertexes.map((vertex) => ({ ...vertex, name: dockerfile.shown(vertex.name) })) };
}

/** Also removes the image that is too large. @throws OrkestrError ORK_IMAGE_TOO_LARGE */
async function checkImage(engine: Engine, { reference, log }: BuildRequest, limits: BuildLimits): Promise<void> {
  const { Size, Config } = await engine.call('inspect the image', (docker) => docker.getImage(reference).inspect());
  const breach = imageBreach(Size, limits);
  const volumes = Object.keys(Config.Volumes ?? {});
  if (volumes.length > 0) log.line(`warning: ${volumeWarning(`The image has the volumes ${volumes.join(', ')}`)}`);
  if (breach === null) return;
  const layers = await engine.call('look at its layers', (docker) => docker.getImage(reference).history());
  await engine.call('drop the image', (docker) => docker.getImage(reference).remove());
  throw toError(withLargest(breach, layers), null);
}

interface Ending {
  readonly timeLimit: AbortSignal;
  readonly watch: LimitWatch;
  /** The command that was running. */
  readonly command: string | null;
}

async function classify(cause: unknown, request: BuildRequest, ending: Ending): Promise<unknown> {
  const { limits, signal } = request;
  if (signal.aborted) return new OrkestrError('ORK_CANCELLED', 'The build was cancelled.');
  const breach = ending.watch.breach(ending.command);
  if (breach !== null) return breach;
  if (ending.timeLimit.aborted) return toError(timeBreach(limits), ending.command);
  const code = cause instanceof OrkestrError ? cause.code : undefined;
  if (code !== undefined && code !== 'ORK_ENGINE_UNREACHABLE' && code !== 'ORK_ENGINE_TIMEOUT') return cause;
  // The unreachable engine is the sandbox's, not the host's.
  const evidence = [cause instanceof Error ? cause.message : String(cause)];
  const taken = await ending.watch.look().catch(() => null); // its disk may be gone with the engine
  const late = taken === null ? null : breachIn(taken, limits);
  if (late !== null) return toError(late, ending.command, evidence);
  return new OrkestrError('ORK_SANDBOX', 'The build engine failed during the build.', { evidence, cause });
}

/**
 * Without the Dockerfile that is built, sent separately: the image gets the author's own Dockerfile, or none.
 * @param now when the build begins, ms since the epoch
 */
function contextOf(
  { plan, contextDirectory, revision }: BuildRequest,
  { keepsBuilt }: Dockerfile,
  now: number,
): AsyncGenerator<ContextEntry> {
  return contextEntries({
    directory: contextDirectory,
    dockerfilePath: plan.dockerfile.path,
    rootDirectory: plan.rootDirectory,
    files: new Map(plan.files.map(({ path, text }) => [path, text])),
    revision: keepsBuilt && revision !== undefined ? timedByBuild(revision, now) : revision,
  });
}
