/** A process of the bench that answers commands over its IPC channel. It ends when its parent does. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Command → its argument and its answer. */
type Commands = Record<string, { readonly given: unknown; readonly answer: unknown }>;

interface Asked {
  readonly id: number;
  readonly command: string;
  readonly given: unknown;
}
interface Answered {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** The parent's side. */
export class Worker<C extends Commands> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #asked = 0;

  /** @param file module that the process runs; it calls {@link serveCommands} */
  constructor(file: URL, args: readonly string[] = []) {
    this.#child = fork(file, args, {
      // Not those of a test runner.
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => this.#answered(message as Answered));
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${file.pathname} ended: ${signal ?? code}`));
      this.#waiting.clear();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ask<K extends keyof C & string>(command: K, given: C[K]['given']): Promise<C[K]['answer']> {
    if (!this.#child.connected) return Promise.reject(new Error(`${command}: the process has ended`));
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(++this.#asked, waiting);
    const id = this.#asked;
    // The child may end at this very moment; without a callback node would emit an error that nobody listens for.
    this.#child.send({ id, command, given } satisfies Asked, (error) => {
      if (error === null) return;
      this.#waiting.delete(id);
      waiting.reject(error);
    });
    return waiting.promise;
  }

  /** Ends the process, and with it everything it has open. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  #answered({ id, answer, error }: Answered): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }
}

type Handlers<C extends Commands> = {
  readonly [K in keyof C]: (given: C[K]['given']) => Promise<C[K]['answer']> | C[K]['answer'];
};

/** The child's side: answers commands until its parent ends. */
export function serveCommands<C extends Commands>(handlers: Handlers<C>): void {
  const answer = async ({ id, command, given }: Asked): Promise<Answered> => {
    try {
      const handle = handlers[command];
      if (!handle) return { id, error: `no command is called ${command}` };
      return { id, answer: await handle(given) };
    } catch (error) {
      // Reported to the parent, which asked.
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on('message', (message) => {
    void answer(message as Asked).then((answered) => process.send?.(answered));
  });
  process.once('disconnect', () => process.exit());
}
