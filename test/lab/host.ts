/** One lab host: a separate server, as far as its programs can tell. Its image decides what it is made of. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProgramResult } from '../../installer/stack/run-program.ts';

export interface HostPlan {
  readonly name: string;
  /** Number within its lab, from 1. */
  readonly number: number;
  /** The lab's network. Network, lab and bridge have the same name. */
  readonly network: string;
  /** Folders of this machine that the host sees, read-only: path here → path in the host. */
  readonly folders: Readonly<Record<string, string>>;
  /** A folder of this machine for the host's files; removed with the lab. */
  readonly stateFolder: string;
}

/** What hosts boot from: a container's image, or a virtual machine's disk. */
export interface HostImage {
  /** Boots a host and waits until systemd has started everything. */
  boot(plan: HostPlan): Promise<LabHost>;
}

export abstract class LabHost {
  readonly name: string;
  /** Factor by which it is slower than a current server. */
  readonly slowness: number;

  protected constructor(name: string, slowness: number) {
    this.name = name;
    this.slowness = slowness;
  }

  /** Runs a program in it and returns the result, whatever it is. */
  abstract run(argv: readonly string[], input?: string): Promise<ProgramResult>;

  /** Its address on the lab's network, which survives reboots. */
  abstract address(): Promise<string>;

  /** Shuts it down cleanly and waits until it is up again. */
  abstract reboot(): Promise<void>;

  /** Switches it off at once: nothing is shut down, nothing is written any more. */
  abstract cutPower(): Promise<void>;

  /** Switches it on after `cutPower`. */
  abstract powerOn(): Promise<void>;

  /** Removes it, and what its agent has made outside of it. */
  abstract remove(): Promise<void>;

  /** @returns what it printed @throws Error with its whole output */
  async must(argv: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, input);
    if (code === 0) return stdout;
    throw new Error(`${this.name}: ${argv.join(' ').slice(0, 200)}: exit code ${code}\n${stdout}${stderr}`);
  }

  /** Runs a line in a shell on the host, as if a person had pasted it. */
  paste(line: string): Promise<ProgramResult> {
    return this.run(['sh', '-c', line]);
  }

  protected async untilBooted(withinMs: number): Promise<void> {
    let state = '';
    for (const end = Date.now() + withinMs; Date.now() < end; await sleep(100 * this.slowness)) {
      // Before it can run programs, it does not answer at all.
      const ask = this.run(['systemctl', 'is-system-running']);
      state = await ask.then(({ stdout }) => stdout.trim()).catch((error: unknown) => String(error));
      if (['running', 'degraded'].includes(state)) return;
    }
    throw new Error(`${this.name} did not boot in ${withinMs / 1000} s: ${state}`);
  }
}
