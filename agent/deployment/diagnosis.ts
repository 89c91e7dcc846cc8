/** Why an app is not healthy: pure functions from facts to one coded error with a plain sentence and its evidence. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Listener } from '../../protocol/steps.ts';
import { CHANGE_USER, capabilityCommand } from '../lib/capabilities.ts';
import { describeExit } from '../lib/exit-code.ts';
import { lastError } from './last-error.ts';
import type { ContainerState } from './ports.ts';

/** Number of log lines of the app to examine: the message of a Java error may be far above the end of its trace. */
export const TAIL_LINES = 100;
/** The last of them, which go into the error. */
const EVIDENCE_LINES = 20;

interface UnhealthyFacts {
  readonly port: number;
  /** What set the port, for example "environment setting". */
  readonly portFrom: string;
  /** Time the app was given to become healthy, seconds. */
  readonly budgetSeconds: number;
  /** Result of the last probe. */
  readonly last: string;
  /** Listening sockets; null when they could not be read. */
  readonly listeners: readonly Listener[] | null;
  /** Last lines of the app's output. */
  readonly tail: readonly string[];
}

/** True for an address that only the container itself can reach. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./i.test(address);
}

function show({ address, port }: Listener): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** "a", "a and b", "a, b and c"; names at most five. */
function list(listeners: readonly Listener[]): string {
  const named = [...new Set(listeners.map(show))];
  const shown = named.length > 5 ? [...named.slice(0, 5), `${named.length - 5} more`] : named;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

/** The last lines of an app as evidence, marked as output of the app. */
export function tailEvidence(tail: readonly string[]): string[] {
  return tail.slice(-EVIDENCE_LINES).map((line) => `app: ${line}`);
}

/** How nginx, Apache, gosu, su-exec, setpriv and chown name the operation that was not permitted. */
const CHANGE = /chown|changing ownership|set(?:res)?[ug]id|setgroups|switching to|set (?:user|group) id/i;

/** Advice for an app that tried to change its user or the owner of its files; empty for others. */
function capabilityHint(tail: readonly string[]): string {
  if (!tail.some((line) => CHANGE.test(line) && /operation not permitted/i.test(line))) return '';
  return ` It starts as root and changes its user or the owner of files, which needs capabilities: ${capabilityCommand(CHANGE_USER)}`;
}

/** Why a running app did not become healthy in time. */
export function diagnose(facts: UnhealthyFacts): OrkestrError {
  const { port, portFrom, budgetSeconds, listeners: open } = facts;
  const evidence = [
    open === null ? 'listening: could not be read' : `listening: ${list(open) || 'nothing'}`,
    `last probe: ${facts.last}`,
    ...tailEvidence(facts.tail),
  ];
  const because = (code: 'ORK_PORT_CLOSED' | 'ORK_PORT_WRONG' | 'ORK_PORT_LOOPBACK' | 'ORK_UNHEALTHY', text: string) =>
    new OrkestrError(code, text + capabilityHint(facts.tail), { evidence });

  const atPort = open?.filter((one) => one.port === port) ?? [];
  if (open === null || atPort.some(({ address }) => !isLoopback(address))) {
    return because(
      'ORK_UNHEALTHY',
      `The app did not become healthy within ${budgetSeconds} s; the last check got: ${facts.last}.`,
    );
  }
  if (atPort.length > 0) {
    const where = list(atPort);
    return because(
      'ORK_PORT_LOOPBACK',
      `The app listens on ${where} only, so it cannot be reached from outside the container.`,
    );
  }
  if (open.length > 0) {
    return because('ORK_PORT_WRONG', `The app listens on ${list(open)}, but not on port ${port} (${portFrom}).`);
  }
  return because(
    'ORK_PORT_CLOSED',
    `The app runs but listened on no port within ${budgetSeconds} s; port ${port} (${portFrom}) was expected.`,
  );
}

/** Why a container that should run has stopped. `memoryMiB` is its limit, `when` the end of the sentence. */
export function diagnoseExit(
  state: Pick<ContainerState, 'exitCode' | 'oomKilled'> | null,
  memoryMiB: number,
  tail: readonly string[],
  when = 'before it was healthy',
): OrkestrError {
  if (state === null) {
    return new OrkestrError(
      'ORK_APP_EXITED',
      'The container of the app is gone: something other than orkestr removed it.',
    );
  }
  const code = state.exitCode;
  const evidence = [`exit code: ${code ?? 'unknown'}`, ...tailEvidence(tail)];
  if (state.oomKilled) {
    return new OrkestrError('ORK_APP_MEMORY', `The app exceeded its memory limit of ${memoryMiB} MiB and was killed.`, {
      evidence,
    });
  }
  const text = `The app ${describeExit(code)} ${when}. ${lastError(tail)}${capabilityHint(tail)}`;
  return new OrkestrError('ORK_APP_EXITED', text, { evidence });
}
