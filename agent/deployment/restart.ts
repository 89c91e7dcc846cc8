/**
 * Starts a container of an earlier deployment again, unchanged, and waits until it accepts connections. Of a worker it
 * only has to run.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import { tryOnce } from '../probe/index.ts';
import type { Ports } from './ports.ts';
import { names } from './step.ts';

const PAUSE_MS = 1000;

interface Restart {
  readonly deploymentId: string;
  /** Null: a worker, which nothing connects to. */
  readonly port: number | null;
  /** How many times to try to connect, once a second. */
  readonly tries: number;
}

/**
 * Only checks, if the container already runs and accepts connections.
 * @returns its address now
 * @throws OrkestrError ORK_APP_EXITED, ORK_PORT_CLOSED, and what starting an existing container throws
 */
export async function restart(
  ports: Ports,
  { deploymentId, port, tries }: Restart,
  signal: AbortSignal,
): Promise<string> {
  const name = names.container(deploymentId);
  const found = await ports.containers.inspect(name);
  if (!found) throw new OrkestrError('ORK_APP_EXITED', `The container ${name} is gone.`);
  const { address } = found.running ? found : await ports.containers.startExisting(name);
  if (address === null) throw new OrkestrError('ORK_APP_EXITED', `The container ${name} does not keep running.`);
  if (port !== null) await untilItAccepts(ports, { address, port, tries }, signal);
  return address;
}

async function untilItAccepts(
  { clock }: Ports,
  { address, port, tries }: { address: string; port: number; tries: number },
  signal: AbortSignal,
): Promise<void> {
  const check = { kind: 'tcp', startSeconds: 60, intervalSeconds: 1, timeoutSeconds: 5, successes: 1 } as const;
  const none = async (): Promise<never> => {
    throw new OrkestrError('ORK_INTERNAL', 'A tcp probe asks for nothing else.');
  };
  const subject = { address, port, host: undefined, imageHealth: none, exec: none, monotonic: () => clock.monotonic() };
  for (let tried = 1; ; tried++) {
    const { ok, got } = await tryOnce(check, subject, 5000, signal);
    if (ok) return;
    if (tried >= tries) throw new OrkestrError('ORK_PORT_CLOSED', got);
    await clock.sleep(PAUSE_MS, signal);
  }
}
