/**
 * Starts and removals of this agent's containers, from the engine's events. After a crash the engine restarts an app by
 * itself, often at another address, and a container that somebody removed by hand serves nobody: routing must learn of
 * both at once.
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

const Happened = z.object({ Actor: z.object({ Attributes: z.record(z.string(), z.string()) }) });

interface ChangeWatch {
  readonly scope: string;
  /** A container was started or removed. @param deploymentId null: events may have been missed */
  onChange(deploymentId: string | null): void;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: () => number;
  readonly log: Logger;
}

/** Goes on until `signal` aborts, whatever the engine does. */
export async function watchStarts(engine: Engine, watch: ChangeWatch, signal: AbortSignal): Promise<void> {
  let wasAway = false;
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const events = await listen(engine, watch.scope, signal);
      failures = 0;
      if (wasAway) watch.onChange(null);
      for await (const line of linesOf(events)) watch.onChange(deploymentOf(line));
    } catch (error) {
      if (!signal.aborted) watch.log.warn({ err: error }, 'starts and removals of containers are not reported for now');
    }
    wasAway = true;
    await watch.clock.sleep(backoffMs(failures, PACE, watch.random), signal).catch(() => undefined); // the loop ends
  }
}

const listen = (engine: Engine, scope: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> =>
  engine.call('watch starts and removals', (docker, deadline) =>
    docker.getEvents({
      filters: { type: ['container'], event: ['start', 'destroy'], label: [`${LABEL.scope}=${scope}`] },
      abortSignal: AbortSignal.any([signal, deadline]),
    }),
  );

const deploymentOf = (line: string): string | null =>
  Happened.parse(JSON.parse(line)).Actor.Attributes[LABEL.deployment] ?? null;
