/** Removes a container and keeps its last output in the step's log, because Docker's log goes with the container. */
import { toErrorReport } from '../../protocol/errors.ts';
import { describeExit, signalName } from '../lib/exit-code.ts';
import type { ContainerState } from './ports.ts';
import { redactText, spellings } from './secrets.ts';
import type { StepContext } from './step.ts';

/** Limits of what is kept: the newest lines, and their characters in total. */
const MOST_LINES = 200;
const MOST_CHARACTERS = 32_768;

/** Signals by which an app ends that was asked to, if it does not exit with 0. */
const ASKED: readonly (string | null)[] = ['SIGTERM', 'SIGINT'];

type Retiring = Pick<StepContext, 'ports' | 'log'>;

/** For a container that never served, or went bad: keeps its output in any case. No-op if there is none. */
export async function removeWithWords(context: Retiring, name: string, graceSeconds: number): Promise<void> {
  const { containers } = context.ports;
  // Stopped first, because many apps say why only as they end.
  await containers.stop(name, graceSeconds);
  await logLastWords(context, name, 'what the app wrote last', []);
  await containers.stopAndRemove(name, graceSeconds);
}

/**
 * For a container that served. If it ended as it was asked to, its output is not kept: the hub stores no logs of apps.
 */
export async function retire(context: Retiring, name: string, graceSeconds: number): Promise<void> {
  const { containers } = context.ports;
  await containers.stop(name, graceSeconds);
  const state = await containers.inspect(name);
  if (state !== null && !endedAsAsked(state)) {
    // Its variables may differ from those of the job that this log belongs to, so every one of them counts as a secret.
    const secrets = (await containers.variables(name)).flatMap(spellings);
    await logLastWords(context, name, `it ${endOf(state)}; what it wrote last`, secrets);
  }
  await containers.stopAndRemove(name, graceSeconds);
}

const endedAsAsked = ({ exitCode, oomKilled }: ContainerState): boolean =>
  !oomKilled && (exitCode === 0 || (exitCode !== null && ASKED.includes(signalName(exitCode))));

const endOf = ({ exitCode, oomKilled }: ContainerState): string =>
  oomKilled ? 'was killed for its memory limit' : describeExit(exitCode);

/** The last output only helps diagnosis: the container is removed without it, too. */
async function logLastWords(
  { ports, log }: Retiring,
  name: string,
  heading: string,
  secrets: readonly string[],
): Promise<void> {
  try {
    const lines = await ports.containers.tail(name, MOST_LINES);
    if (lines.length === 0) return;
    const words = redactText(lines.join('\n'), secrets).slice(-MOST_CHARACTERS);
    log.line(`${heading}:\n${words.replace(/^/gm, '  app: ')}`);
  } catch (error) {
    log.line(`what the app wrote last could not be read: ${toErrorReport(error).message}`);
  }
}
