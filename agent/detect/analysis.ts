/**
 * The build plan of a checkout, made in a process of its own. Nobody vouches for what is in the files: one that keeps an
 * expression busy for hours must not keep the agent from its watchdog, its hub and all other deployments. And the detectors, a
 * third of the agent's code, leave nothing in its memory; a thread would leave 9 MB.
 */
import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { BuildPlan } from '../../protocol/steps.ts';
import type { Surroundings } from './detector.ts';
import type { PlanRequest } from './index.ts';

/** Beside this file, among the sources as in a release. */
const ENTRY = fileURLToPath(new URL(`analysis-process${extname(import.meta.url)}`, import.meta.url));

/** It is spared as the agent is when memory runs out, so what it takes is bounded: some files of a repository, 1 MiB each. */
const MAX_HEAP_MIB = 512;

/** All of a request that is data. */
export type RequestData = Omit<PlanRequest, 'surroundings' | 'budget'> & {
  readonly surroundings: Omit<Surroundings, 'isMadeHere'>;
};

export type ToAnalysis =
  | { readonly kind: 'request'; readonly request: RequestData }
  | { readonly kind: 'answer'; readonly image: string; readonly isMadeHere: boolean };

/** Questions about images, and then one of the others. */
export type FromAnalysis =
  | { readonly kind: 'question'; readonly image: string }
  | { readonly kind: 'plan'; readonly plan: BuildPlan }
  | { readonly kind: 'refused'; readonly error: ErrorReport };

/**
 * As `planBuild`, until the signal ends it, whatever it does then.
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

/** V8 aborts at its limit of memory. */
const withoutPlan = (how: number | NodeJS.Signals | null): OrkestrError =>
  how === 'SIGABRT'
    ? new OrkestrError('ORK_ANALYSIS_LIMIT', `The analysis took more than ${MAX_HEAP_MIB} MiB of memory.`)
    : new OrkestrError('ORK_INTERNAL', `The analysis ended without a plan (${how}).`);

const asThrown = ({ code, message, evidence }: ErrorReport): OrkestrError =>
  new OrkestrError(code, message, { evidence });
