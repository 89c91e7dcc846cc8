/** Whether the container of a deployment runs, before it is live: nothing restarts it until then. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { HealthReport } from '../../protocol/steps.ts';
import { diagnoseExit, TAIL_LINES, tailEvidence } from './diagnosis.ts';
import type { ContainerState } from './ports.ts';
import type { StepContext } from './step.ts';

/** How often to inspect the container, ms. */
const WATCH_MS = 500;

/** Never resolves; throws the reason as soon as the container no longer runs. */
export async function untilExit(context: StepContext, signal: AbortSignal): Promise<never> {
  for (;;) {
    await ensureRunning(context, ({ running }) => running);
    await context.ports.clock.sleep(WATCH_MS, signal);
  }
}

/** @throws OrkestrError ORK_APP_EXITED or ORK_APP_MEMORY unless the container exists and `isFine` */
export async function ensureRunning(
  { job, output, ports }: StepContext,
  isFine: (state: ContainerState) => boolean,
): Promise<void> {
  const name = output('deploy').containerName;
  const state = await ports.containers.inspect(name);
  if (state !== null && isFine(state)) return;
  const tail = state === null ? [] : await ports.containers.tail(name, TAIL_LINES);
  throw diagnoseExit(state, job.settings.limits.memoryMiB, tail);
}

/**
 * The check `running` of a background worker: resolves when the container has run for `runSeconds` from now, in the
 * same process. Race it with {@link untilExit}, which notices an exit at once.
 * @throws OrkestrError ORK_APP_EXITED, ORK_APP_MEMORY
 */
export async function untilItHasRun(
  context: StepContext,
  runSeconds: number,
  signal: AbortSignal,
): Promise<HealthReport> {
  const { output, ports, log } = context;
  const { clock } = ports;
  const name = output('deploy').containerName;
  log.line(`a worker: it has to run for ${runSeconds} s`);
  const started = clock.monotonic();
  const first = await ports.containers.inspect(name);
  await clock.sleep(runSeconds * 1000, signal);
  await ensureRunning(context, ({ running }) => running);
  // A live worker that crashes is restarted by Docker, and may run at each look.
  const last = await ports.containers.inspect(name);
  if (first !== null && last !== null && first.pid !== last.pid) {
    throw new OrkestrError('ORK_APP_EXITED', `The app ended and was started again within ${runSeconds} s.`, {
      evidence: tailEvidence(await ports.containers.tail(name, TAIL_LINES)),
    });
  }
  const ms = clock.monotonic() - started;
  log.line(`it has run for ${runSeconds} s`);
  return { probe: 'running', attempts: 1, ms, last: `ran for ${runSeconds} s`, listeners: [], foundPort: null };
}
