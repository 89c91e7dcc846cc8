/**
 * Does what the agent does at each cutover: a new version starts, the proxy flips to it, the old one drains and is
 * stopped only after its drain was answered. Several versions may drain at once.
 */
import { DrainRequest, UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import type { DrainAnswer } from '../../../protocol/proxy-admin.ts';
import type { EdgeProcess } from '../../harness/edge-process.ts';
import type { AppCommands } from './app/run.ts';
import type { Strays } from './app/request-times.ts';
import { nowMs } from './clock.ts';
import type { Worker } from './worker.ts';

/** Deadlines of each drain, seconds. */
export interface DrainPlan {
  readonly deadlineSeconds: number;
  readonly streamDeadlineSeconds: number;
  readonly spreadSeconds: number;
}

/** A version about to be drained. */
export interface Retired {
  readonly version: string;
  /** From this time on its WebSockets and event streams may be closed, ms of the bench's clock. */
  readonly closesFrom: number;
}

export interface Stopped {
  readonly version: string;
  readonly drained: DrainAnswer;
  readonly strays: Strays;
}

interface Running {
  readonly version: string;
  readonly app: Worker<AppCommands>;
  readonly generation: number;
  readonly port: number;
}

interface FlipperParts {
  readonly edge: EdgeProcess;
  /** Processes that run the versions, in rotation. */
  readonly apps: readonly Worker<AppCommands>[];
  readonly hosts: readonly string[];
  readonly plan: DrainPlan;
  /** Called when a drain begins. */
  readonly retired: (retired: Retired) => void;
}

export class Flipper {
  readonly #parts: FlipperParts;
  readonly #stops: Promise<Stopped>[] = [];
  readonly #flipMs: number[] = [];
  #current: Running | null = null;

  constructor(parts: FlipperParts) {
    this.#parts = parts;
  }

  /** Time until each flip was answered, ms; the first flip, which had no predecessor, is not included. */
  get flipMs(): readonly number[] {
    return this.#flipMs;
  }

  get version(): string {
    return this.#current?.version ?? '';
  }

  /** Flips to a new version and begins to drain the previous one. */
  async flip(): Promise<void> {
    const previous = this.#current;
    const next = await this.#start((previous?.generation ?? 0) + 1);
    const began = nowMs();
    const answer = await this.#parts.edge.flip({
      entry: this.#entry(next),
      expectedGeneration: previous?.generation ?? 0,
    });
    const flipped = nowMs();
    this.#current = next;
    if (!answer.changed) throw new Error(`the flip to version ${next.version} changed nothing`);
    if (!previous) return;
    this.#flipMs.push(flipped - began);
    const stop = this.#retire(previous, flipped);
    // settle() reports the failure, so an early rejection must not count as unhandled.
    stop.catch(() => undefined);
    this.#stops.push(stop);
  }

  /** Waits for all drains. @returns how every old version ended, in order */
  settle(): Promise<Stopped[]> {
    return Promise.all(this.#stops);
  }

  async #start(generation: number): Promise<Running> {
    const { apps } = this.#parts;
    const app = apps[generation % apps.length];
    if (!app) throw new Error('there is no app process');
    const version = String(generation);
    const { port } = await app.ask('start', { version });
    return { version, app, generation, port };
  }

  #entry({ generation, port }: Running): UpstreamEntry {
    return UpstreamEntry.parse({
      id: idOf(0),
      generation,
      targets: [{ id: idOf(generation), address: '127.0.0.1', port }],
      routes: this.#parts.hosts.map((host) => ({ host })),
      // The load includes clients without TLS.
      edge: { https: 'off' },
    });
  }

  async #retire({ version, app, generation }: Running, flipped: number): Promise<Stopped> {
    const { edge, plan, retired } = this.#parts;
    retired({ version, closesFrom: nowMs() + plan.streamDeadlineSeconds * 1000 });
    const drained = await edge.drain(DrainRequest.parse({ upstreamId: idOf(0), targetId: idOf(generation), ...plan }));
    const strays = await app.ask('stop', { version, flipped });
    return { version, drained, strays };
  }
}

/** Ids of the upstream (0) and of each generation's target. */
const idOf = (number: number): string => `01890a5d-ac96-774b-bcce-${number.toString(16).padStart(12, '0')}`;
