/**
 * Reads the log of an environment's app, live from Docker. For each version it follows the one container through
 * crashes and restarts. Once the next version has taken over, it reads that one from its first line, and the previous
 * one to its end.
 */
import { MAX_TAIL_LINES } from '../../protocol/app-log.ts';
import type { AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Clock, ContainerRuntime, ContainerState } from '../deployment/ports.ts';
import { names } from '../deployment/step.ts';
import { nanoseconds } from '../docker/container-log.ts';
import type { ContainerLogRequest, LogPiece, OpenContainerLog } from '../docker/container-log.ts';
import { endsLine, makeLineMaker } from './lines.ts';
import type { LineMaker } from './lines.ts';
import { WaitingParts } from './parts.ts';

/** Pause between two checks which version serves, or of a stopped container, ms. */
const LOOK_MS = 500;
/** Pause between two checks that a silent engine still responds: one that hangs is silent, too. ms */
const PROOF_MS = 15_000;

interface AppLogParts {
  /** Id of the deployment that serves the environment; null: none. */
  readonly live: (environmentId: string) => string | null;
  /** Secrets that its log must not show. */
  readonly secrets: (deploymentId: string) => Promise<readonly string[]>;
  readonly containers: Pick<ContainerRuntime, 'inspect'>;
  readonly openLog: OpenContainerLog;
  readonly clock: Clock;
}

export interface AppLogs {
  open(request: AppLogRequest): AppLogRead;
}

export const makeAppLogs = (parts: AppLogParts): AppLogs => ({
  open(request) {
    const over = new AbortController();
    const waiting = new WaitingParts();
    const read = new Read(parts, request, waiting, over.signal);
    void read
      .run()
      .then(
        () => waiting.end(),
        (error: unknown) => waiting.end(over.signal.aborted ? undefined : error),
      )
      .finally(() => over.abort());
    return {
      next: () => waiting.next(),
      close() {
        over.abort();
        waiting.end();
      },
    };
  },
});

class Read {
  readonly #parts: AppLogParts;
  readonly #request: AppLogRequest;
  readonly #waiting: WaitingParts;
  readonly #signal: AbortSignal;
  /** Lines before this are history: they wait for the reader. Later ones are left out if the reader is too slow. ns. */
  readonly #begun: bigint;
  readonly #known = new Set<string>();

  constructor(parts: AppLogParts, request: AppLogRequest, waiting: WaitingParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#request = request;
    this.#waiting = waiting;
    this.#signal = signal;
    this.#begun = BigInt(Math.floor(parts.clock.now())) * 1_000_000n;
  }

  async run(): Promise<void> {
    const live = this.#live();
    if (live === null) {
      throw new OrkestrError(
        'ORK_APP_NOT_LIVE',
        'No version of the app is live in this environment, so there is no log.',
      );
    }
    const failed = Promise.withResolvers<never>();
    const work = this.#request.follow ? this.#followVersions(failed.reject) : this.#readOnce(live);
    await Promise.race([work, failed.promise, this.#proveEngine(live)]);
  }

  /** Never resolves. @throws OrkestrError if the engine no longer responds */
  async #proveEngine(live: string): Promise<never> {
    const { clock, containers } = this.#parts;
    for (;;) {
      await clock.sleep(PROOF_MS, this.#signal);
      await containers.inspect(names.container(live));
    }
  }

  async #readOnce(live: string): Promise<void> {
    this.#waiting.begin(live);
    const there = await this.#readContainer(live, { ...this.#start(live), follow: false }, await this.#lines(live));
    if (there !== null) return;
    throw new OrkestrError('ORK_APP_LOG_GONE', 'The container of the app is gone, and its log with it.');
  }

  async #followVersions(failed: (error: unknown) => void): Promise<void> {
    const running = new Set<Promise<void>>();
    const follow = (deploymentId: string): void => {
      this.#known.add(deploymentId);
      this.#waiting.begin(deploymentId);
      const following = this.#followVersion(deploymentId).catch(failed);
      running.add(following);
      void following.then(() => running.delete(following));
    };
    // A read that broke off while a version drained resumes with both versions.
    for (const { deploymentId } of this.#request.after) if (deploymentId !== this.#live()) follow(deploymentId);
    for (;;) {
      const live = this.#live();
      if (live !== null && !this.#known.has(live)) follow(live);
      if (live === null && running.size === 0) return;
      await this.#parts.clock.sleep(LOOK_MS, this.#signal);
    }
  }

  /** Follows a version until it no longer serves and its container has stopped. */
  async #followVersion(deploymentId: string): Promise<void> {
    const { clock } = this.#parts;
    const lines = await this.#lines(deploymentId);
    let from: Omit<ContainerLogRequest, 'follow'> = this.#start(deploymentId);
    for (;;) {
      const state = await this.#container(deploymentId);
      // Checked before the log is read: lines written after the check are read in the next round.
      const isOver = this.#live() !== deploymentId && state?.running !== true;
      if (state !== null) {
        const last = await this.#readContainer(deploymentId, { ...from, follow: true }, lines);
        from = { tail: null, since: last == null ? unread(from, this.#begun) : last + 1n };
      }
      if (isOver) return;
      await clock.sleep(LOOK_MS, this.#signal);
    }
  }

  /** Null also for a container of another environment: the request may name any deployment as a position. */
  async #container(deploymentId: string): Promise<ContainerState | null> {
    const state = await this.#parts.containers.inspect(names.container(deploymentId));
    return state?.environmentId === this.#request.environmentId ? state : null;
  }

  /** Where to start reading the log of a version. */
  #start(deploymentId: string): Omit<ContainerLogRequest, 'follow'> {
    const { after, tail, sinceSeconds } = this.#request;
    const position = after.find((one) => one.deploymentId === deploymentId);
    if (position !== undefined) return { tail: null, since: nanoseconds(position.at) + 1n };
    // A version that came later is shown from its beginning, because its start is what readers look for.
    if (after.length > 0 || this.#known.size > 1) return { tail: MAX_TAIL_LINES, since: null };
    return { tail, since: sinceSeconds === null ? null : this.#begun - BigInt(sinceSeconds) * 1_000_000_000n };
  }

  /** Time of the last line that was read; undefined: there was none; null: there is no container. */
  async #readContainer(
    deploymentId: string,
    request: ContainerLogRequest,
    lines: LineMaker,
  ): Promise<bigint | undefined | null> {
    const log = await this.#parts.openLog(names.container(deploymentId), request, this.#signal);
    if (log === null) return null;
    let last: bigint | undefined;
    for await (const pieces of log) {
      await this.#takeIn(deploymentId, pieces, lines);
      const ended = pieces.findLast(endsLine);
      if (ended !== undefined) last = nanoseconds(ended.at);
    }
    for (const line of lines.end()) {
      this.#waiting.add(deploymentId, line);
      last = nanoseconds(line.at);
    }
    return last;
  }

  async #takeIn(deploymentId: string, pieces: readonly LogPiece[], lines: LineMaker): Promise<void> {
    let leftOut = 0;
    for (const piece of pieces) {
      if (this.#waiting.isFull && this.#isHistory(piece)) await this.#waiting.room();
      if (this.#waiting.isFull) {
        if (lines.skip(piece)) leftOut += 1;
        continue;
      }
      const line = lines.take(piece);
      if (line !== null) this.#waiting.add(deploymentId, line);
    }
    if (leftOut > 0) this.#waiting.leaveOut(deploymentId, leftOut);
  }

  /**
   * Lines from before the read began stay in Docker's files until the reader has room; without `follow`, all lines do.
   */
  #isHistory({ at }: LogPiece): boolean {
    return !this.#request.follow || nanoseconds(at) < this.#begun;
  }

  #live(): string | null {
    return this.#parts.live(this.#request.environmentId);
  }

  async #lines(deploymentId: string): Promise<LineMaker> {
    return makeLineMaker(await this.#parts.secrets(deploymentId));
  }
}

/** Where to continue if nothing was read yet: everything newer than the history that was requested. */
const unread = ({ tail, since }: Omit<ContainerLogRequest, 'follow'>, begun: bigint): bigint | null =>
  tail === null ? since : begun;
