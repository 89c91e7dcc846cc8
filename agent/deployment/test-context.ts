/** For tests: what a step sees of its run. */
import type { Ports, StepLog } from './ports.ts';
import type { StepContext } from './step.ts';
import { edgePartOf } from '../../protocol/edge-order.ts';
import type { StepName, StepOutputs } from '../../protocol/steps.ts';
import { VirtualClock } from './test-clock.ts';
import { secondJob } from './test-job.ts';
import { scriptedPorts } from './test-ports.ts';

/** A container on a guessed port, and a health report that found the app on 8080. */
export const RUNNING = {
  deploy: {
    containerId: 'c',
    containerName: 'n',
    address: '172.20.0.3',
    port: 3000,
    portFrom: 'default',
    portGuessed: true,
  },
  health: { probe: 'http', attempts: 2, ms: 1, last: 'HTTP 200', listeners: [], foundPort: 8080 },
} satisfies Partial<StepOutputs>;

export interface ScriptedContext extends StepContext {
  /** Whether the step declared that it only waits. */
  readonly hasLeftSlot: () => boolean;
  /** Whether the step declared that visitors stay on this deployment. */
  readonly hasTakenOver: () => boolean;
  /** Lines that the step wrote to its log. */
  readonly lines: string[];
}

/** A context with these ports and outputs of earlier steps; access to anything else throws. */
export function aContext(parts: {
  job?: StepContext['job'];
  ports?: Partial<Ports>;
  outputs?: Partial<StepOutputs>;
  previous?: StepContext['previous'];
  generations?: Readonly<Record<string, number>>;
  isLive?: boolean;
  signal?: AbortSignal;
  removal?: AbortSignal;
}): ScriptedContext {
  const lines: string[] = [];
  const log: StepLog = { line: (text) => void lines.push(text), write: () => undefined };
  const outputs = parts.outputs ?? {};
  const job = parts.job ?? secondJob();
  let left = false;
  let over = false;
  return {
    job,
    output<N extends StepName>(step: N): StepOutputs[N] {
      const found = outputs[step];
      if (found === undefined) throw new Error(`unscripted: output of ${step}`);
      return found;
    },
    previous: parts.previous ?? null,
    ports: scriptedPorts({ clock: new VirtualClock(), ...parts.ports }),
    signal: parts.signal ?? new AbortController().signal,
    removal: parts.removal ?? new AbortController().signal,
    leaveSlot: () => void (left = true),
    hasLeftSlot: () => left,
    edge: () => edgePartOf(job.settings),
    generationOf: (deploymentId) => parts.generations?.[deploymentId] ?? null,
    isLive: parts.isLive ?? false,
    takeOver: () => void (over = true),
    hasTakenOver: () => over,
    log,
    lines,
  };
}
