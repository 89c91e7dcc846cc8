/** Takes a container away, and keeps what it wrote last in the log of the step that does: Docker's log goes with the container. */
import { toErrorReport } from '../../protocol/errors.ts';
import { signalName } from './diagnosis.ts';
import type { ContainerState } from './ports.ts';
import { redactText, spellings } from './secrets.ts';
import type { StepContext } from './step.ts';

/** Newest lines that are kept, and characters of all of them. */
const MOST_LINES = 200;
const MOST_CHARACTERS = 32_768;

/** How an app ends that was asked to: by itself, or by the signal. */
const ASKED: readonly (string | null)[] = ['SIGTERM', 'SIGINT'];

type Retiring = Pick<StepContext, 'ports' | 'log'>;

/** One that never served, or went bad: whatever it wrote. Nothing to do is fine. */
export async function removeWithWords(context: Retiring, name: string, graceSeconds: number): Promise<void> {
  const { containers } = context.ports;
  // First, for many say why only as they end.
  await containers.stop(name, graceSeconds);
  await tellWords(context, name, 'what the app wrote last', []);
  await containers.stopAndRemove(name, graceSeconds);
}

/** One that served: of an app that ended as it was asked to nothing is kept, for the hub stores no logs of apps. */
export async function retire(context: Retiring, name: string, graceSeconds: number): Promise<void> {
  const { containers } = context.ports;
  await containers.stop(name, graceSeconds);
  const state = await containers.inspect(name);
  if (state !== null && !endedAsAsked(state)) {
    // It had other values than the job whose log this is: every one of its environment counts.
    const secrets = (await containers.variables(name)).flatMap(spellings);
    await tellWords(context, name, `it ${endOf(state)}; what it wrote last`, secrets);
  }
  await containers.stopAndRemove(name, graceSeconds);
}

const endedAsAsked = ({ exitCode, oomKilled }: ContainerState): boolean =>
  !oomKilled && (exitCode === 0 || (exitCode !== null && ASKED.includes(signalName(exitCode))));

function endOf({ exitCode, oomKilled }: ContainerState): string {
  if (oomKilled) return 'was killed for its memory limit';
  const signal = exitCode === null ? null : signalName(exitCode);
  return signal === null ? `ended with exit code ${exitCode ?? 'unknown'}` : `was ended by ${signal}`;
}

/** Words are a help and no more: the container goes without them, too. */
async function tellWords(
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
