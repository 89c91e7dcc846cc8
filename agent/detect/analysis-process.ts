/** The process of one analysis: makes the requested plan, sends it or the error, and waits to be killed. */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { FromAnalysis, RequestData, ToAnalysis } from './analysis.ts';
import { planBuild } from './index.ts';

const say = (message: FromAnalysis): void => void process.send?.(message);

const answers = new Map<string, PromiseWithResolvers<boolean>>();

/** Asks the agent, which has access to the engine. */
function isMadeHere(image: string): Promise<boolean> {
  const asked = answers.get(image);
  if (asked !== undefined) return asked.promise;
  const answer = Promise.withResolvers<boolean>();
  answers.set(image, answer);
  say({ kind: 'question', image });
  return answer.promise;
}

async function analyze({ surroundings, ...request }: RequestData): Promise<void> {
  try {
    say({ kind: 'plan', plan: await planBuild({ ...request, surroundings: { ...surroundings, isMadeHere } }) });
  } catch (error) {
    // Anything else is a bug: it ends this process, with a stack trace in the agent's log.
    if (!(error instanceof OrkestrError)) throw error;
    say({ kind: 'refused', error: toErrorReport(error) });
  }
}

process.on('message', (told: ToAnalysis) => {
  if (told.kind === 'request') void analyze(told.request);
  else answers.get(told.image)?.resolve(told.isMadeHere);
});
