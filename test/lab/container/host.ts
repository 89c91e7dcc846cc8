/** A lab host that is a container with systemd in it: up in a second, on the machine's kernel and control groups. */
import { existsSync } from 'node:fs';
import { mustRun, runProgram } from '../../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../../installer/stack/run-program.ts';
import { LabHost } from '../host.ts';
import type { HostPlan } from '../host.ts';
import { ownerLabel } from '../orphans.ts';

const BOOT_MS = 60_000;
const STOP_S = 60;
/** Kernel: admin-guide/devices. */
const LOOP_MAJOR = 7;
/** More than the machine and its labs use at once. */
const LOOP_DEVICES = 64;
const COMMAND_MS = 10 * 60_000;

export class ContainerHost extends LabHost {
  readonly #container: string;

  private constructor(name: string, container: string) {
    super(name, 1);
    this.#container = container;
  }

  static async boot(image: string, { name, network, folders }: HostPlan): Promise<ContainerHost> {
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
      // What systemd and an engine in it need; containers of a lab get nothing beyond that.
      ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'].map((capability) => `--cap-add=${capability}`),
      '--security-opt=seccomp=unconfined',
      '--security-opt=apparmor=unconfined',
      // The engine enables forwarding, in /proc/sys.
      '--security-opt=systempaths=unconfined',
      '--cgroupns=host',
      // The disks of build slots are files, so the host needs loop devices, like a server.
      '--device=/dev/loop-control',
      `--device-cgroup-rule=b ${LOOP_MAJOR}:* rmw`,
      // Under cgroup v1, only the kernel log shows which process of a build was killed for memory.
      ...(existsSync('/dev/kmsg') ? ['--device=/dev/kmsg'] : []),
      // systemd's signal to shut down (systemd(1), SIGNALS).
      '--stop-signal=SIGRTMIN+3',
      '--env=container=docker',
      ...['/run', '/run/lock', '/tmp'].map((path) => `--tmpfs=${path}:exec`),
      '--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw',
      // Overlays cannot be stacked: its engines get a volume of the machine.
      '--volume=/var/lib',
      ...Object.entries(folders).map(([from, to]) => `--volume=${from}:${to}:ro`),
      image,
    ]);
    const host = new ContainerHost(name, container);
    await host.#bootUp();
    return host;
  }

  run(argv: readonly string[], input?: string): Promise<ProgramResult> {
    const interactive = input === undefined ? [] : ['--interactive'];
    return runProgram(['docker', 'exec', ...interactive, this.#container, ...argv], {
      timeoutMs: COMMAND_MS,
      ...(input === undefined ? {} : { input }),
    });
  }

  async address(): Promise<string> {
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    return (await mustRun('docker inspect', ['docker', 'inspect', '--format', format, this.#container])).trim();
  }

  async reboot(): Promise<void> {
    await mustRun('docker restart', ['docker', 'restart', `--time=${STOP_S}`, this.#container]);
    await this.#bootUp();
  }

  async cutPower(): Promise<void> {
    await mustRun('docker kill', ['docker', 'kill', this.#container]);
  }

  async powerOn(): Promise<void> {
    await mustRun('docker start', ['docker', 'start', this.#container]);
    await this.#bootUp();
  }

  /** Control groups belong to the machine and outlive a container. */
  async remove(): Promise<void> {
    await this.run(['orkestr-agent', 'uninstall', '--purge']);
    await mustRun('docker rm', ['docker', 'rm', '--force', '--volumes', this.#container], { timeoutMs: 120_000 });
  }

  async #bootUp(): Promise<void> {
    // A container has its own /dev, new at every start, in which the kernel creates no nodes.
    const make = `for n in $(seq 0 ${LOOP_DEVICES - 1}); do mknod -m 660 /dev/loop$n b ${LOOP_MAJOR} $n; done`;
    await this.must(['sh', '-c', make]);
    await this.untilBooted(BOOT_MS);
  }
}
