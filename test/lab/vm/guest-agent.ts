/**
 * Runs programs in a virtual machine, through the QEMU guest agent (qemu.org: interop/qemu-ga-ref): lines of JSON over
 * a dedicated serial port. This needs no network, no key and no shell, and providers have the agent in their images.
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

/** The agent responds at once, unless the machine is very busy. A machine that is not up, or no longer, is silent. */
const ANSWER_MS = 30_000;
const SYNC_AGAIN_MS = 1000;
/** The pause doubles from poll to poll: each takes CPU time from the program that is awaited. */
const POLL_MS = 20;
const MOST_POLL_MS = 1000;
/** Makes the agent discard half a line that an earlier connection has left. */
const RESET = Buffer.from([0xff]);
/** A systemd service has no HOME. */
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
  /** The agent handles one command at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** @throws Error if it does not respond, or there is no such program */
  async run([path, ...arg]: readonly string[], timeoutMs: number, input?: string): Promise<ProgramResult> {
    const given = input === undefined ? {} : { 'input-data': Buffer.from(input).toString('base64') };
    const order = { path, arg, env: ENVIRONMENT, 'capture-output': true, ...given };
    const { pid } = Begun.parse(await this.#ask('guest-exec', order));
    const end = Date.now() + timeoutMs;
    for (let pause = POLL_MS; Date.now() < end; pause = Math.min(2 * pause, MOST_POLL_MS)) {
      const status = Status.parse(await this.#ask('guest-exec-status', { pid }));
      if (status.exited) {
        // A program ended by a signal has no exit code.
        return { code: status.exitcode ?? null, stdout: text(status['out-data']), stderr: text(status['err-data']) };
      }
      await sleep(pause);
    }
    throw new Error(`${path} did not end in ${timeoutMs / 1000} s`);
  }

  /** The machine is off: pending commands fail. */
  close(): void {
    this.#connection?.close();
    this.#connection = null;
  }

  #ask(command: string, args: object): Promise<unknown> {
    const answer = this.#turn.then(() => this.#exchange(command, args));
    this.#turn = answer.catch(() => undefined); // the caller gets the error; the next command is unaffected
    return answer;
  }

  async #exchange(command: string, args: object): Promise<unknown> {
    try {
      this.#connection ??= await Connection.open(this.#socketPath);
      const { return: value, error } = await this.#connection.ask(command, args, ANSWER_MS);
      if (error === undefined) return value;
      throw new Error(`${command}: ${error.desc}`);
    } catch (error) {
      // A late response would be taken for that of the next command.
      this.close();
      throw error;
    }
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  /** Called when a line has arrived, or none will any more. */
  #wake = (): void => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket });
    lines.on('line', (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    // It forwards the socket's error, as after a power cut. The following `close` reports it.
    lines.on('error', () => undefined);
    socket.on('close', () => this.#wake());
  }

  /** Connects, and syncs with the agent: its next response belongs to the next command. */
  static async open(socketPath: string): Promise<Connection> {
    const socket = connect(socketPath);
    socket.on('error', () => undefined); // the awaited line does not arrive, which reports it
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

  /** Repeats the sync with doubling pauses: a machine that is not up loses it. Only the last one's answer counts. */
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
