/** Fakes for tests of the domain: they answer what the test scripted and throw on every other call. */
import type { Clock, Ports, StepLog } from './ports.ts';
import type { StepContext } from './step.ts';
import { edgePartOf } from '../../protocol/edge-order.ts';
import type { DeployJob } from '../../protocol/job.ts';
import { DeployJob as DeployJobSchema } from '../../protocol/job.ts';
import type { StepName, StepOutputs } from '../../protocol/steps.ts';
import { BaseImages } from '../detect/base-images.ts';

/** An object with these members only; access to any other throws and names it. */
export function scripted<T extends object>(name: string, members: Partial<T>): T {
  return new Proxy(members, {
    get(target, key) {
      if (Reflect.has(target, key)) return Reflect.get(target, key) as unknown;
      throw new Error(`unscripted: ${name}.${String(key)}`);
    },
  }) as T;
}

/**
 * Time that passes only while everything sleeps: the earliest sleeper wakes once nothing else is pending. Real
 * connections get a moment, or a minute of tries would be over before the kernel of a busy machine has answered one.
 */
export class VirtualClock implements Clock {
  #time = 0;
  readonly #sleepers: { until: number; wake: () => void }[] = [];

  now(): number {
    return Date.UTC(2030, 0, 1) + this.#time;
  }

  monotonic(): number {
    return this.#time;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const sleeper = { until: this.#time + ms, wake: resolve };
      const abort = (): void => {
        this.#remove(sleeper);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      sleeper.wake = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      this.#sleepers.push(sleeper);
      setTimeout(() => this.#advance(), 1);
    });
  }

  #remove(sleeper: { until: number; wake: () => void }): void {
    const at = this.#sleepers.indexOf(sleeper);
    if (at >= 0) this.#sleepers.splice(at, 1);
  }

  #advance(): void {
    const next = this.#sleepers.toSorted((a, b) => a.until - b.until)[0];
    if (next === undefined) return;
    this.#remove(next);
    this.#time = Math.max(this.#time, next.until);
    next.wake();
  }
}

export const IDS = {
  deployment: '0190a000-0000-7000-8000-000000000002',
  previous: '0190a000-0000-7000-8000-000000000001',
  environment: '0190a000-0000-7000-8000-0000000000e1',
  project: '0190a000-0000-7000-8000-0000000000a1',
  host: '0190a000-0000-7000-8000-0000000000b1',
} as const;

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

type Settings = Partial<DeployJob['settings']>;

/** A valid deploy job, with the parts that a test changes. */
export function aJob(
  parts: { settings?: Settings; env?: Record<string, string>; keepImages?: number } = {},
): DeployJob {
  return DeployJobSchema.parse({
    version: 1,
    kind: 'deploy',
    deploymentId: IDS.deployment,
    generation: 2,
    hostId: IDS.host,
    issuedAt: '2030-01-01T00:00:00.000Z',
    project: { id: IDS.project, slug: 'shop' },
    environment: { id: IDS.environment, slug: 'production' },
    source: { origin: 'hub', url: 'https://hub.example/git/shop.git', branch: 'main' },
    commit: 'c'.repeat(40),
    settings: parts.settings ?? {},
    env: parts.env ?? {},
    keepImages: parts.keepImages ?? 2,
  });
}

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
  let left = false;
  let over = false;
  return {
    job: parts.job ?? aJob(),
    output<N extends StepName>(step: N): StepOutputs[N] {
      const found = outputs[step];
      if (found === undefined) throw new Error(`unscripted: output of ${step}`);
      return found;
    },
    previous: parts.previous ?? null,
    ports: scripted<Ports>('ports', { clock: new VirtualClock(), baseImages: BaseImages.parse({}), ...parts.ports }),
    signal: parts.signal ?? new AbortController().signal,
    removal: parts.removal ?? new AbortController().signal,
    leaveSlot: () => void (left = true),
    hasLeftSlot: () => left,
    edge: () => edgePartOf((parts.job ?? aJob()).settings),
    generationOf: (deploymentId) => parts.generations?.[deploymentId] ?? null,
    isLive: parts.isLive ?? false,
    takeOver: () => void (over = true),
    hasTakenOver: () => over,
    log,
    lines,
  };
}
