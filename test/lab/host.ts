/** One lab host: a server of its own, as far as its programs can tell: systemd, ports, users, Docker Engine. */
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun, runProgram } from '../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../installer/stack/run-program.ts';
import { ownerLabel } from './orphans.ts';

const BOOT_MS = 60_000;
const COMMAND_MS = 10 * 60_000;

export interface HostPlan {
  readonly name: string;
  readonly image: string;
  /** The lab's network; its name is the lab's. */
  readonly network: string;
  /** Folders of this machine that the host sees, read-only: host path → path in it. */
  readonly folders: Readonly<Record<string, string>>;
}

export class LabHost {
  readonly name: string;
  readonly #container: string;

  private constructor(name: string, container: string) {
    this.name = name;
    this.#container = container;
  }

  /** Boots it and waits until systemd has started everything. */
  static async boot({ name, image, network, folders }: HostPlan): Promise<LabHost> {
    const container = `${network}-${name}`;
    await mustRun('docker run', [
      'docker',
      'run',
      '--detach',
      `--name=${container}`,
      `--hostname=${name}`,
      ...ownerLabel(),
      `--network=${network}`,
      `--network-alias=${name}`,
      // What systemd and an engine in it need; more than that no container of a lab gets.
      ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE'].map((capability) => `--cap-add=${capability}`),
      '--security-opt=seccomp=unconfined',
      '--security-opt=apparmor=unconfined',
      // An engine switches forwarding on, in /proc/sys.
      '--security-opt=systempaths=unconfined',
      '--cgroupns=host',
      '--env=container=docker',
      ...['/run', '/run/lock', '/tmp'].map((path) => `--tmpfs=${path}:exec`),
      '--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw',
      // Layers on layers do not mount: its engines get a disk of the machine.
      '--volume=/var/lib',
      ...Object.entries(folders).map(([from, to]) => `--volume=${from}:${to}:ro`),
      image,
    ]);
    const host = new LabHost(name, container);
    await host.#untilBooted();
    return host;
  }

  /** Runs a program in it, whatever comes of it. */
  run(argv: readonly string[], input?: string): Promise<ProgramResult> {
    return runProgram(['docker', ...this.execArgv(argv, input !== undefined)], {
      timeoutMs: COMMAND_MS,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** Arguments of `docker` that run a program in it. */
  execArgv(argv: readonly string[], interactive: boolean): string[] {
    return ['exec', ...(interactive ? ['--interactive'] : []), this.#container, ...argv];
  }

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

  async address(): Promise<string> {
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    return (await mustRun('docker inspect', ['docker', 'inspect', '--format', format, this.#container])).trim();
  }

  /** With what its agent has made outside of it: control groups are the machine's, and outlive a container. */
  async remove(): Promise<void> {
    await this.run(['orkestr-agent', 'uninstall', '--purge']);
    await mustRun('docker rm', ['docker', 'rm', '--force', '--volumes', this.#container], { timeoutMs: 120_000 });
  }

  async #untilBooted(): Promise<void> {
    for (const end = Date.now() + BOOT_MS; Date.now() < end; await sleep(100)) {
      const { stdout } = await this.run(['systemctl', 'is-system-running']);
      if (['running', 'degraded'].includes(stdout.trim())) return;
    }
    throw new Error(`${this.name} did not boot in ${BOOT_MS / 1000} s`);
  }
}
