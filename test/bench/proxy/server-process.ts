/** A server in a separate process on one core: its CPU time and memory as the kernel counts them, and its end. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { cpuNanoseconds, residentBytes } from '../../../installer/stack/process-cost.ts';

/** From SIGTERM to SIGKILL, ms. Nothing in a bench is worth a longer wait. */
const STOP_MS = 3000;

export interface ServerCommand {
  /** Names the failing server to people. */
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  /** The one core that it may use. */
  readonly cpu: number;
  /** Receives stdout and stderr. */
  readonly logFile: string;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Runs `argv` on one core; the kernel ends it when we end, so that a killed bench leaves no server behind. setpriv and
 * taskset exec the program, so its pid is the child's.
 */
export function pinned(cpu: number, argv: readonly string[]): [string, ...string[]] {
  return ['setpriv', '--pdeathsig', 'TERM', '--', 'taskset', '--cpu-list', String(cpu), ...argv];
}

export class ServerProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  private readonly child: ChildProcess;

  constructor({ name, argv, cpu, logFile, env = process.env }: ServerCommand) {
    this.name = name;
    this.logFile = logFile;
    const log = openSync(logFile, 'a', 0o600);
    const [program, ...args] = pinned(cpu, argv);
    this.child = spawn(program, args, { env, stdio: ['ignore', log, log] });
    closeSync(log);
    if (this.child.pid === undefined) throw new Error(`${name}: ${program} could not be started`);
    this.pid = this.child.pid;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** CPU time of all threads of all its processes, ns. */
  cpuNanoseconds(): number {
    this.mustRun();
    return cpuNanoseconds(this.pid);
  }

  /** Resident memory of all its processes, bytes. */
  residentBytes(): number {
    this.mustRun();
    return residentBytes(this.pid);
  }

  /** The end of its log, for error messages. */
  lastWords(): string {
    return readFileSync(this.logFile, 'utf8').trim().split('\n').slice(-10).join('\n  | ');
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    // A server that only waits for its open connections must not delay the bench.
    const hard = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    this.child.kill('SIGTERM');
    await ended;
    clearTimeout(hard);
  }

  private mustRun(): void {
    if (!this.isRunning) throw new Error(`${this.name} has ended:\n  | ${this.lastWords()}`);
  }
}
