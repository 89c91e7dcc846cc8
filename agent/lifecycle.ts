/** The agent from its start to its end: the order in which its parts start and stop, and how long each may take. */
import type { Logger } from '../protocol/service/logger.ts';
import type { Dispatcher } from './deployment/dispatcher.ts';
import type { EdgeOrders } from './deployment/edge-orders.ts';
import type { LinkState } from './hub-link/session.ts';
import { systemClock } from './lib/clock.ts';
import type { Reconciler } from './reconcile/reconcile.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

/**
 * How long the hub's jobs wait for the first reconcile round, so that the round can restore a lost journal from the
 * engine and the proxy first. They do not wait longer for apps that it revives: one that never gets healthy must not
 * keep the host offline.
 */
const FIRST_ROUND_MS = 15_000;
/** Together with the two below, less than the SHUTDOWN_MS of serve.ts. */
const STOP_RUNNING_MS = 8000;
const STOP_SANDBOX_MS = 8000;
const STOP_ROUND_MS = 2000;

/** Where reports go: to the hub, or nowhere on a host without one. */
export interface ReportLink {
  /** Null: there is no hub. */
  state(): LinkState | null;
  stop(): Promise<void>;
}

interface LifecycleParts {
  readonly dispatcher: Dispatcher;
  readonly reconciler: Reconciler;
  readonly edgeOrders: EdgeOrders;
  readonly sandbox: Sandbox;
  openLocalApi(): Promise<{ close(): Promise<void> }>;
  /** Lets the reconciler look when containers start or go, until `signal` aborts. */
  watchContainers(signal: AbortSignal): void;
  dial(): ReportLink;
  /** Releases what the parts work with: journal and lock. */
  release(): void;
  readonly log: Logger;
}

export class Lifecycle {
  readonly #parts: LifecycleParts;
  readonly #stopped = new AbortController();
  #api: { close(): Promise<void> } | null = null;
  #link: ReportLink | null = null;

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  /** Null: not dialled yet, or no hub. */
  linkState(): LinkState | null {
    return this.#link?.state() ?? null;
  }

  async start(): Promise<void> {
    const { dispatcher, reconciler, sandbox } = this.#parts;
    this.#api = await this.#parts.openLocalApi();
    dispatcher.resume();
    this.#parts.watchContainers(this.#stopped.signal);
    await within(FIRST_ROUND_MS, reconciler.look());
    // An earlier agent may have left its build engine running. A job that needs it starts it again.
    if (dispatcher.unfinished().length === 0 && (await sandbox.isRunning())) await sandbox.stop();
    this.#link = this.#parts.dial();
  }

  async stop(): Promise<void> {
    const { dispatcher, reconciler, edgeOrders, sandbox, log } = this.#parts;
    this.#stopped.abort();
    await this.#link?.stop();
    await within(STOP_ROUND_MS, edgeOrders.stop());
    // A round that waits for a silent engine is abandoned: it does nothing that the next start does not repeat.
    await within(STOP_ROUND_MS, reconciler.stop());
    await dispatcher.stop(STOP_RUNNING_MS);
    await stopSandbox(sandbox, log);
    await this.#api?.close();
    this.#parts.release();
  }
}

/** Gives up after STOP_SANDBOX_MS: the next start finds a build engine that still runs. */
async function stopSandbox(sandbox: Sandbox, log: Logger): Promise<void> {
  const stopped = sandbox.isRunning().then((running) => (running ? sandbox.stop() : undefined));
  try {
    const inTime = await within(STOP_SANDBOX_MS, stopped);
    if (!inTime) log.warn('the build engine does not stop in time');
  } catch (error) {
    log.warn({ err: error }, 'the build engine was not stopped');
  }
}

/** Whether `work` finished within `ms`. Rethrows its error. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  try {
    return await Promise.race([
      work.then(() => true),
      systemClock.sleep(ms, over.signal).then(
        () => false,
        () => false, // the work was faster: nobody looks at this result
      ),
    ]);
  } finally {
    over.abort();
  }
}
