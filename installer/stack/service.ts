/**
 * One of our processes as a child. Its output goes to a log file, so that it can outlive its launcher without breaking;
 * it leads its own session, so that Ctrl-C in the terminal reaches only the launcher.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { endProcess, identify } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** A log file larger than this is renamed (one is kept) before its process starts. */
const MAX_LOG_BYTES = 10 * 1024 * 1024;

export interface ServiceCommand {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Service {
  readonly name: string;
  readonly logFile: string;
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended, however. */
  readonly exited: Promise<Exit>;
  readonly #logStart: number;
  #exit: Exit | null = null;

  private constructor(command: ServiceCommand, identity: ProcessIdentity, exited: Promise<Exit>, logStart: number) {
    this.name = command.name;
    this.logFile = command.logFile;
    this.identity = identity;
    this.#logStart = logStart;
    this.exited = exited.then((exit) => {
      this.#exit = exit;
      return exit;
    });
  }

  /** @throws OrkestrError ORK_PREPARE_FAILED when the program cannot be run */
  static async start(command: ServiceCommand): Promise<Service> {
    const logStart = openLog(command.logFile);
    const [program, ...args] = command.argv;
    const child = spawn(program, args, {
      env: command.env,
      stdio: ['ignore', logStart.fd, logStart.fd],
      detached: true,
    });
    closeSync(logStart.fd);
    const exited = exitOf(child);
    await spawned(child, command.name);
    // A process that has already ended has no start time, and needs none: `exited` resolves.
    const identity = identify(child.pid ?? 0) ?? { pid: child.pid ?? 0, startTicks: 'gone', bootId: '' };
    return new Service(command, identity, exited, logStart.bytes);
  }

  get running(): boolean {
    return this.#exit === null;
  }

  /** What the process has logged since it was started. */
  log(): string {
    return readFileSync(this.logFile).subarray(this.#logStart).toString('utf8');
  }

  /** Last lines of its log, as evidence. */
  lastLines(count = 15): string[] {
    return this.log().split('\n').filter(Boolean).slice(-count);
  }

  /**
   * Waits until the log has a line with this `msg`, and returns the line.
   * @throws OrkestrError ORK_PREPARE_FAILED if the process ends first, or after `timeoutMs`
   */
  async waitFor(msg: string, timeoutMs = 30_000): Promise<Record<string, unknown>> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const ended = !this.running;
      const line = findLine(this.log(), msg);
      if (line) return line;
      if (ended || performance.now() > deadline) {
        const reason = ended ? 'ended while starting' : `did not come up in ${timeoutMs / 1000} s`;
        throw new OrkestrError('ORK_PREPARE_FAILED', `The ${this.name} ${reason}; its log is ${this.logFile}.`, {
          evidence: this.lastLines(),
        });
      }
      await sleep(25);
    }
  }

  /** The URL of its "listening" line. */
  async url(timeoutMs?: number): Promise<string> {
    return String((await this.waitFor('listening', timeoutMs))['url']);
  }

  /** Sends SIGTERM, and SIGKILL after the grace period; waits until the process is gone. */
  async stop(graceMs = 15_000): Promise<void> {
    if (!this.running) return;
    await endProcess(this.identity, graceMs);
    await this.exited;
  }

  /** Kills the process without a warning, like a power cut. */
  async kill(): Promise<void> {
    if (!this.running) return;
    process.kill(this.identity.pid, 'SIGKILL');
    await this.exited;
  }
}

function openLog(file: string): { fd: number; bytes: number } {
  const size = existsSync(file) ? statSync(file).size : 0;
  if (size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
  return { fd: openSync(file, 'a', 0o600), bytes: size > MAX_LOG_BYTES ? 0 : size };
}

const exitOf = (child: ChildProcess): Promise<Exit> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: 127, signal: null }));
  });

const spawned = (child: ChildProcess, name: string): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(new OrkestrError('ORK_PREPARE_FAILED', `The ${name} could not be started: ${cause.message}.`, { cause })),
    );
  });

function findLine(log: string, msg: string): Record<string, unknown> | null {
  for (const text of log.split('\n')) {
    if (!text.includes(msg) || !text.startsWith('{')) continue;
    try {
      const line = JSON.parse(text) as Record<string, unknown>;
      if (line['msg'] === msg) return line;
    } catch {
      // A line that is still being written is not JSON yet; the next poll finds it complete.
    }
  }
  return null;
}
