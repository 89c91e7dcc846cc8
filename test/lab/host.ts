/** One lab host: a server of its own, as far as its programs can tell. What it is made of is its image's matter. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProgramResult } from '../../installer/stack/run-program.ts';

export interface HostPlan {
  readonly name: string;
  /** From 1, of its lab. */
  readonly number: number;
  /** The lab's network; its name is the lab's, and its bridge's. */
  readonly network: string;
  /** Folders of this machine that the host sees, read-only: host path → path in it. */
  readonly folders: Readonly<Record<string, string>>;
  /** A folder of this machine for what belongs to the host and goes with the lab. */
  readonly stateFolder: string;
}

/** What hosts are booted from: a container's image, or a virtual machine's disk. */
export interface HostImage {
  /** Boots a host and waits until systemd has started everything. */
  boot(plan: HostPlan): Promise<LabHost>;
}

export abstract class LabHost {
  readonly name: string;
  /** How many times as long as on a server of today everything takes on it. */
  readonly slowness: number;

  protected constructor(name: string, slowness: number) {
    this.name = name;
    this.slowness = slowness;
  }

  /** Runs a program in it, whatever comes of it. */
  abstract run(argv: readonly string[], input?: string): Promise<ProgramResult>;

  /** On the lab's network; it stays the same over reboots. */
  abstract address(): Promise<string>;

  /** Shuts it down in order and waits until it is up again. */
  abstract reboot(): Promise<void>;

  /** From one moment to the next it is off: nothing is shut down, nothing is written any more. */
  abstract cutPower(): Promise<void>;

  /** Switches on what `cutPower` switched off. */
  abstract powerOn(): Promise<void>;

  /** With what its agent has made outside of it. */
  abstract remove(): Promise<void>;

  /** @returns what it printed @throws Error with all that it said */
  async must(argv: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, input);
    if (code === 0) return stdout;
    throw new Error(`${this.name}: ${argv.join(' ').slice(0, 200)}: exit code ${code}\n${stdout}${stderr}`);
  }

  /** A line for a shell on the host: what a person pastes. */
  paste(line: string): Promise<ProgramResult> {
    return this.run(['sh', '-c', line]);
  }

  protected async untilBooted(withinMs: number): Promise<void> {
    let state = '';
    for (const end = Date.now() + withinMs; Date.now() < end; await sleep(100 * this.slowness)) {
      // Until it is far enough to run programs there is no answer at all.
      const ask = this.run(['systemctl', 'is-system-running']);
      state = await ask.then(({ stdout }) => stdout.trim()).catch((error: unknown) => String(error));
      if (['running', 'degraded'].includes(state)) return;
    }
    throw new Error(`${this.name} did not boot in ${withinMs / 1000} s: ${state}`);
  }
}
