/**
 * The worker processes. Each has a plane in the group and its own listening sockets, which this process keeps open, so
 * that connections waiting to be accepted outlive a worker. A worker that dies or hangs is replaced; the new one
 * gets the whole table first.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Listening, ListenSocket } from '../listen/sockets.ts';
import { channelOf } from '../planes/channel.ts';
import type { Channel } from '../planes/channel.ts';
import type { PlaneGroup } from '../planes/group.ts';
import { readFarewell } from '../planes/messages.ts';
import { RemotePlanes } from '../planes/remote.ts';
import type { ServingSettings } from '../serving.ts';
import { FromWorker } from './messages.ts';
import type { ToWorker } from './messages.ts';

/** Lies beside this file, both in the sources and in the bundle. */
const ENTRY = fileURLToPath(new URL(`worker${extname(import.meta.url)}`, import.meta.url));
/** How long a worker may take until it serves, ms. */
const START_MS = 20_000;
/** How often the workers' health is checked, ms. */
const LOOK_MS = 5_000;
/** Pause before restarting a worker that has died young, ms: a crash loop must not take the machine down. */
const PAUSE_MS = 1_000;
/** The first descriptor after stdin, stdout, stderr and the IPC pipe. */
const FIRST_FD = 4;

interface PoolSettings {
  readonly serving: ServingSettings;
  readonly logLevel: string;
  readonly sockets: readonly ListenSocket[];
}

export class WorkerPool {
  readonly #settings: PoolSettings;
  readonly #group: PlaneGroup;
  readonly #log: Logger;
  readonly #workers = new Map<number, Worker>();
  readonly #looks: NodeJS.Timeout;
  #closing = false;

  private constructor(settings: PoolSettings, group: PlaneGroup, log: Logger) {
    this.#settings = settings;
    this.#group = group;
    this.#log = log;
    this.#looks = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /**
   * Resolves once all workers serve.
   * @throws OrkestrError ORK_CONFIG when one fails to
   */
  static async start(
    settings: PoolSettings,
    group: PlaneGroup,
    log: Logger,
  ): Promise<{ pool: WorkerPool; addresses: readonly Listening[] }> {
    const pool = new WorkerPool(settings, group, log);
    const { workers } = settings.serving;
    try {
      const started = Array.from({ length: workers }, (_, index) => pool.#start(index));
      const [first = []] = await Promise.all(started);
      return { pool, addresses: first };
    } catch (error) {
      await pool.close(0);
      throw error;
    }
  }

  get pids(): readonly number[] {
    return [...this.#workers.values()].map(({ pid }) => pid);
  }

  /** Each worker stops accepting, finishes work in flight, cuts what is left after `shutdownMs`, and exits. */
  async close(shutdownMs: number): Promise<void> {
    this.#closing = true;
    clearInterval(this.#looks);
    await Promise.all([...this.#workers.values()].map((worker) => worker.close(shutdownMs)));
  }

  async #start(index: number): Promise<readonly Listening[]> {
    const { sockets } = this.#settings;
    const worker = new Worker(socketsOf(sockets, index, this.#settings.serving.workers), this.#log);
    this.#workers.set(index, worker);
    void worker.ended.then(() => this.#ended(index, worker));
    return worker.serve(this.#settings, this.#group);
  }

  #ended(index: number, worker: Worker): void {
    this.#workers.delete(index);
    if (this.#closing) return;
    this.#log.error({ worker: index, pid: worker.pid }, 'a worker has ended; starting another one');
    setTimeout(() => this.#again(index), worker.ageMs < PAUSE_MS ? PAUSE_MS : 0);
  }

  #again(index: number): void {
    if (this.#closing) return;
    this.#start(index).catch((error: unknown) => {
      // Its exit triggers the next try.
      this.#log.error({ err: error, worker: index }, 'a worker could not be started');
    });
  }

  /**
   * Any call shows whether a worker answers; this one also records its counts, in case it dies. A starting worker is no
   * member yet and is not asked: on a busy machine a start takes long, and {@link START_MS} limits it.
   */
  #look(): void {
    this.#group.counts().catch((error: unknown) => this.#log.error({ err: error }, 'a worker answers with nonsense'));
  }
}

class Worker {
  readonly planes: RemotePlanes;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #channel: Channel;
  readonly #sockets: readonly ListenSocket[];
  readonly #startedAt = performance.now();

  constructor(sockets: readonly ListenSocket[], log: Logger) {
    this.#sockets = sockets;
    const fds = sockets.map(({ fd }) => fd);
    this.#child = fork(ENTRY, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...fds] });
    this.#channel = channelOf(this.#child);
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      // It could not even be started.
      this.#child.once('error', () => resolve());
    });
    this.planes = new RemotePlanes(this.#channel, (call) => {
      log.error({ pid: this.pid, call }, 'a worker does not answer; ending it');
      this.#child.kill('SIGKILL');
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ageMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** @throws OrkestrError ORK_CONFIG when the worker does not serve in time; it has been ended then */
  async serve({ serving, logLevel, sockets }: PoolSettings, group: PlaneGroup): Promise<readonly Listening[]> {
    try {
      await this.#hears('booted');
      this.#tell({ type: 'start', settings: serving, logLevel, tls: sockets.some(({ kind }) => kind === 'https') });
      group.join(this.planes);
      // The channel closes before the exit is known, and from then on the worker's part of every answer is missing.
      this.#channel.onClose(() => group.leave(this.planes));
      this.#channel.onMessage((message) => {
        const words = readFarewell(message);
        if (words !== null) group.hearLast(this.planes, words);
      });
      const fds = this.#sockets.map(({ kind }, index) => ({ kind, fd: FIRST_FD + index }));
      const listening = this.#hears('listening');
      this.#tell({ type: 'listen', sockets: fds });
      const { addresses } = await listening;
      return addresses.map((address, index) => ({ ...address, kind: fds[index]?.kind ?? 'http' }));
    } catch (error) {
      this.#child.kill('SIGKILL');
      await this.ended;
      throw error;
    }
  }

  async close(shutdownMs: number): Promise<void> {
    this.#tell({ type: 'close', shutdownMs });
    // The worker has its own deadlines; this one is for a worker that hangs.
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), shutdownMs + START_MS / 4);
    await this.ended;
    clearTimeout(kill);
  }

  #tell(message: ToWorker): void {
    this.#channel.send(message);
  }

  #hears<T extends FromWorker['type']>(type: T): Promise<Extract<FromWorker, { type: T }>> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        reject(new OrkestrError('ORK_CONFIG', `A worker of the proxy failed to start serving: ${why}.`));
      };
      const timer = setTimeout(() => fail(`nothing in ${START_MS} ms`), START_MS);
      const settled = (): void => {
        clearTimeout(timer);
        this.#child.off('message', read);
      };
      const read = (message: unknown): void => {
        const up = FromWorker.safeParse(message);
        if (!up.success) return;
        if (up.data.type === type) {
          settled();
          resolve(up.data as Extract<FromWorker, { type: T }>);
        } else if (up.data.type === 'failed') {
          settled();
          fail(up.data.message);
        }
      };
      this.#child.on('message', read);
      void this.ended.then(() => {
        settled();
        fail('it ended');
      });
    });
  }
}

/** A worker's own sockets of each kind; where there are fewer sockets than workers, workers share them. */
function socketsOf(sockets: readonly ListenSocket[], index: number, workers: number): readonly ListenSocket[] {
  return (['http', 'https'] as const).flatMap((kind) => {
    const all = sockets.filter((socket) => socket.kind === kind);
    const own = all.filter((_, number) => number % workers === index);
    const shared = all[index % Math.max(1, all.length)];
    return own.length > 0 || !shared ? own : [shared];
  });
}
