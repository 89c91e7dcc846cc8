/**
 * Starts, ends and removals of this agent's containers, from the engine's events. After a crash the engine restarts an
 * app by itself, often at another address, and a container that somebody removed by hand serves nobody: routing must
 * learn of both at once. How an app ended is known only from these events: an app that the engine has restarted shows
 * nothing of it.
 */
import { z } from 'zod';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Clock } from '../deployment/ports.ts';
import { backoffMs } from '../lib/backoff.ts';
import { linesOf } from '../lib/engine-answer.ts';
import type { Engine } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';

/** Pace of reconnecting while the engine is unreachable. */
const PACE = { baseMs: 1000, capMs: 30_000 } as const;

const Happened = z.object({
  Action: z.string(),
  Actor: z.object({ Attributes: z.record(z.string(), z.string()) }),
});

interface ChangeWatch {
  readonly scope: string;
  /** A container was started or removed. @param deploymentId null: events may have been missed */
  onChange(deploymentId: string | null): void;
  /** A container has ended. @param exitCode null: the engine did not say it */
  onExit(deploymentId: string, exitCode: number | null): void;
  /** A process of a container was killed for lack of memory. */
  onMemory(deploymentId: string): void;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: () => number;
  readonly log: Logger;
}

/** Goes on until `signal` aborts, whatever the engine does. */
export async function watchContainerEvents(engine: Engine, watch: ChangeWatch, signal: AbortSignal): Promise<void> {
  let wasAway = false;
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const events = await listen(engine, watch.scope, signal);
      failures = 0;
      if (wasAway) watch.onChange(null);
      for await (const line of linesOf(events)) pass(line, watch);
    } catch (error) {
      if (!signal.aborted)
        watch.log.warn({ err: error }, 'starts, ends and removals of containers are not reported for now');
    }
    wasAway = true;
    await watch.clock.sleep(backoffMs(failures, PACE, watch.random), signal).catch(() => undefined); // the loop ends
  }
}

const listen = (engine: Engine, scope: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> =>
  engine.call('watch containers', (docker, deadline) =>
    docker.getEvents({
      filters: { type: ['container'], event: ['start', 'destroy', 'die', 'oom'], label: [`${LABEL.scope}=${scope}`] },
      abortSignal: AbortSignal.any([signal, deadline]),
    }),
  );

function pass(line: string, watch: Pick<ChangeWatch, 'onChange' | 'onExit' | 'onMemory'>): void {
  const { Action: action, Actor: actor } = Happened.parse(JSON.parse(line));
  const deploymentId = actor.Attributes[LABEL.deployment] ?? null;
  if (action !== 'die' && action !== 'oom') return watch.onChange(deploymentId);
  if (deploymentId === null) return;
  if (action === 'oom') watch.onMemory(deploymentId);
  else watch.onExit(deploymentId, exitCodeOf(actor.Attributes));
}

function exitCodeOf({ exitCode }: Readonly<Record<string, string>>): number | null {
  return exitCode !== undefined && /^\d{1,10}$/.test(exitCode) ? Number(exitCode) : null;
}
