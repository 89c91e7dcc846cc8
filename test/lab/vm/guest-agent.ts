/**
 * Programs run in a virtual machine, by the QEMU guest agent (qemu.org: interop/qemu-ga-ref): lines of JSON over a serial
 * port of the machine's own. It needs no network, no key and no shell, and is what providers have in their images.
 */
import { Buffer } from 'node:buffer';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ProgramResult } from '../../../installer/stack/run-program.ts';

/** A question is answered at once, but by a machine that is busy all over; one that is not up, or no more, is silent. */
const ANSWER_MS = 30_000;
const SYNC_AGAIN_MS = 1000;
/** From question to question the pause doubles: each one takes the machine's time from the program that is waited for. */
const POLL_MS = 20;
const MOST_POLL_MS = 1000;
/** Makes the agent forget half a line that an earlier connection left. */
const RESET = Buffer.from([0xff]);
/** A service of systemd has no HOME. */
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'];

const Answer = z.object({ return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional() });
const Begun = z.object({ pid: z.int() });
const Status = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  'out-data': z.string().default(''),
  'err-data': z.string().default(''),
});

export class GuestAgent {
  readonly #socketPath: string;
  #connection: Connection | null = null;
  /** It takes one question at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** @throws Error when it does not answer, or there is no such program */
  async run([path, ...arg]: readonly string[], timeoutMs: number, input?: string): Promise<ProgramResult> {
    const given = input === undefined ? {} : { 'input-data': Buffer.from(input).toString('base64') };
    const order = { path, arg, env: ENVIRONMENT, 'capture-output': true, ...given };
    const { pid } = Begun.parse(await this.#ask('guest-exec', order));
    const end = Date.now() + timeoutMs;
    for (let pause = POLL_MS; Date.now() < end; pause = Math.min(2 * pause, MOST_POLL_MS)) {
      const status = Status.parse(await this.#ask('guest-exec-status', { pid }));
      if (status.exited) {
        // One that a signal ended has no exit code.
        return { code: status.exitcode ?? null, stdout: text(status['out-data']), stderr: text(status['err-data']) };
      }
      await sleep(pause);
    }
    throw new Error(`${path} did not end in ${timeoutMs / 1000} s`);
  }

  /** The machine is off: who waits for an answer is told so. */
  close(): void {
    this.#connection?.close();
    this.#connection = null;
  }

  #ask(command: string, args: object): Promise<unknown> {
    const answer = this.#turn.then(() => this.#exchange(command, args));
    this.#turn = answer.catch(() => undefined); // told to who asked; the next question is another matter
    return answer;
  }

  async #exchange(command: string, args: object): Promise<unknown> {
    try {
      this.#connection ??= await Connection.open(this.#socketPath);
      const { return: value, error } = await this.#connection.ask(command, args, ANSWER_MS);
      if (error === undefined) return value;
      throw new Error(`${command}: ${error.desc}`);
    } catch (error) {
      // An answer that comes late would be taken for that of the next question.
      this.close();
      throw error;
    }
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  /** A line has come, or none will any more. */
  #wake = (): void => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket });
    lines.on('line', (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    // It passes on that of the socket, as when the power of the machine is cut. The `close` that follows tells.
    lines.on('error', () => undefined);
    socket.on('close', () => this.#wake());
  }

  /** In step with the agent: its next answer is that of the next question. */
  static async open(socketPath: string): Promise<Connection> {
    const socket = connect(socketPath);
    socket.on('error', () => undefined); // the line that is waited for does not come, and tells
    await once(socket, 'connect');
    const connection = new Connection(socket);
    try {
      await connection.#sync();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Asks again, each time after twice as long: what a machine that is not up is told is lost. The last question's answer counts. */
  async #sync(): Promise<void> {
    let [id, again]: [number, NodeJS.Timeout | undefined] = [0, undefined];
    const question = (pause: number): void => {
      id = randomInt(2 ** 31);
      this.#socket.write(RESET);
      this.#say('guest-sync', { id });
      again = setTimeout(() => question(2 * pause), pause);
    };
    question(SYNC_AGAIN_MS);
    try {
      while ((await this.#next(ANSWER_MS)).return !== id);
    } finally {
      clearTimeout(again);
    }
  }

  ask(command: string, args: object, timeoutMs: number): Promise<z.infer<typeof Answer>> {
    this.#say(command, args);
    return this.#next(timeoutMs);
  }

  #say(command: string, args: object): void {
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #next(timeoutMs: number): Promise<z.infer<typeof Answer>> {
    const timer = setTimeout(() => this.#socket.destroy(), timeoutMs);
    while (this.#lines.length === 0 && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(timer);
    const line = this.#lines.shift();
    if (line === undefined) throw new Error('the guest agent does not answer');
    return Answer.parse(JSON.parse(line));
  }
}

const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');
