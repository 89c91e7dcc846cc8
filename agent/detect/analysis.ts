/**
 * Makes the build plan of a checkout in a separate process. The files are untrusted: a file that keeps a regular
 * expression busy for hours must not keep the agent from its watchdog, its hub and all other deployments. Also, the
 * detectors, a third of the agent's code, stay out of its memory; a thread would leave 9 MB behind.
 */
import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { BuildPlan } from '../../protocol/steps.ts';
import type { Surroundings } from './detector.ts';
import type { PlanRequest } from './index.ts';

/** Next to this file, both in the sources and in a release. */
const ENTRY = fileURLToPath(new URL(`analysis-process${extname(import.meta.url)}`, import.meta.url));

/** Bounded, since the OOM killer spares this process like the agent. Enough for some files of 1 MiB each. */
const MAX_HEAP_MIB = 512;

/** The serializable part of a request. */
export type RequestData = Omit<PlanRequest, 'surroundings' | 'budget'> & {
  readonly surroundings: Omit<Surroundings, 'isMadeHere'>;
};

export type ToAnalysis =
  | { readonly kind: 'request'; readonly request: RequestData }
  | { readonly kind: 'answer'; readonly image: string; readonly isMadeHere: boolean };

/** Any number of questions about images, then one of the others. */
export type FromAnalysis =
  | { readonly kind: 'question'; readonly image: string }
  | { readonly kind: 'plan'; readonly plan: BuildPlan }
  | { readonly kind: 'refused'; readonly error: ErrorReport };

/**
 * Like `planBuild`, but killed if the signal aborts.
 * @throws OrkestrError what `planBuild` throws, ORK_ANALYSIS_LIMIT, and the signal's reason
 */
export async function planInProcess(
  { surroundings: { isMadeHere, ...surroundings }, ...request }: Omit<PlanRequest, 'budget'>,
  signal: AbortSignal,
): Promise<BuildPlan> {
  signal.throwIfAborted();
  const execArgv = [...process.execArgv, `--max-old-space-size=${MAX_HEAP_MIB}`];
  const child = fork(ENTRY, { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const send = (message: ToAnalysis): void => void child.send(message);
  const { promise, resolve, reject } = Promise.withResolvers<BuildPlan>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const ended = new Promise<void>((settle) => {
    child.once('error', () => settle()); // it could not be started
    child.once('exit', () => settle());
  });
  child.on('error', reject);
  child.once('exit', (code, by) => reject(withoutPlan(code ?? by)));
  child.on('message', (said: FromAnalysis) => {
    if (said.kind === 'plan') resolve(said.plan);
    else if (said.kind === 'refused') reject(asThrown(said.error));
    else
      isMadeHere(said.image).then((isMade) => send({ kind: 'answer', image: said.image, isMadeHere: isMade }), reject);
  });
  try {
    send({ kind: 'request', request: { ...request, surroundings } });
    return await promise;
  } finally {
    signal.removeEventListener('abort', abort);
    child.kill('SIGKILL');
    await ended;
  }
}

/** V8 aborts at its heap limit. */
const withoutPlan = (how: number | NodeJS.Signals | null): OrkestrError =>
  how === 'SIGABRT'
    ? new OrkestrError('ORK_ANALYSIS_LIMIT', `The analysis took more than ${MAX_HEAP_MIB} MiB of memory.`)
    : new OrkestrError('ORK_INTERNAL', `The analysis ended without a plan (${how}).`);

const asThrown = ({ code, message, evidence }: ErrorReport): OrkestrError =>
  new OrkestrError(code, message, { evidence });
