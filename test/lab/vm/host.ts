/** A lab host that is a virtual machine, with its own kernel, control groups, disk and power switch. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { mustRun } from '../../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../../installer/stack/run-program.ts';
import { LabHost } from '../host.ts';
import type { HostPlan } from '../host.ts';
import { GuestAgent } from './guest-agent.ts';
import type { VmFiles } from './image.ts';

/** A cloud machine may have the device without the CPU feature; a distribution's kernel then does not boot. */
export const hasKvm = (): boolean =>
  existsSync('/dev/kvm') && /^flags\b.*\b(?:vmx|svm)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
/** Slowness without KVM, when every instruction is translated (measured: 8 to 15). */
const TRANSLATED = 15;
/**
 * Kernel parameters without KVM. Translated code is cached by address, and is useless for the next process if each gets
 * random addresses; and mitigations of CPU faults cost many instructions where there is no such CPU. Measured: a
 * program starts in half the time, and the machine boots in 57 s instead of 73 s.
 */
const EASY_TO_TRANSLATE = 'norandmaps mitigations=off';
const BOOT_MS = 600_000;
const SHUTDOWN_MS = 300_000;
const COMMAND_MS = 20 * 60_000;
const TAP_MS = 5000;
const MEMORY = '2G';
const PROCESSORS = 2;
/** Hosts get addresses from here on in the lab's network; Docker Engine assigns those below. */
const FIRST_ADDRESS = 100;
const SHOWN_LINES = 25;

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const Subnet = z.object({ Subnet: z.string(), Gateway: z.string() });

interface Nic {
  readonly tap: string;
  readonly mac: string;
  readonly address: string;
  readonly gateway: string;
  readonly netmask: string;
}

export class VmHost extends LabHost {
  readonly #plan: HostPlan;
  readonly #files: VmFiles;
  readonly #nic: Nic;
  readonly #agent: GuestAgent;
  #qemu: ChildProcess | null = null;

  private constructor(files: VmFiles, plan: HostPlan, nic: Nic) {
    super(plan.name, hasKvm() ? 1 : TRANSLATED);
    this.#plan = plan;
    this.#files = files;
    this.#nic = nic;
    this.#agent = new GuestAgent(this.#path('agent.sock'));
  }

  static async boot(files: VmFiles, plan: HostPlan): Promise<VmHost> {
    const host = new VmHost(files, plan, await nicOf(plan));
    const layer = ['-F', 'raw', '-b', files.disk, host.#path('disk.qcow2')];
    await mustRun('qemu-img', ['qemu-img', 'create', '-q', '-f', 'qcow2', ...layer]);
    try {
      await host.powerOn();
      await host.#settle();
    } catch (error) {
      await host.remove();
      throw error;
    }
    return host;
  }

  run(argv: readonly string[], input?: string): Promise<ProgramResult> {
    return this.#agent.run(argv, COMMAND_MS, input);
  }

  address(): Promise<string> {
    return Promise.resolve(this.#nic.address);
  }

  async reboot(): Promise<void> {
    const before = await this.must(['cat', BOOT_ID]);
    await this.must(['systemctl', '--no-block', 'reboot']);
    for (const end = Date.now() + SHUTDOWN_MS; Date.now() < end; await sleep(200)) {
      const now = await this.run(['cat', BOOT_ID]).catch(() => null); // it is between two boots
      if (now?.code === 0 && now.stdout !== before) return this.untilBooted(BOOT_MS);
    }
    throw new Error(`${this.name} did not reboot in ${SHUTDOWN_MS / 1000} s`);
  }

  async cutPower(): Promise<void> {
    const qemu = this.#qemu;
    this.#qemu = null;
    this.#agent.close();
    if (qemu === null || qemu.exitCode !== null || qemu.signalCode !== null) return;
    qemu.kill('SIGKILL');
    await once(qemu, 'exit');
  }

  async powerOn(): Promise<void> {
    const qemu = spawn('setpriv', ['--pdeathsig=KILL', '--', ...this.#argv()], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: string[] = [];
    for (const stream of [qemu.stdout, qemu.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => void (said.length < SHOWN_LINES && said.push(text)));
    }
    this.#qemu = qemu;
    try {
      await this.#plugIn(qemu);
      await this.untilBooted(BOOT_MS);
    } catch (error) {
      const console = existsSync(this.#path('console.log')) ? readFileSync(this.#path('console.log'), 'utf8') : '';
      const evidence = [...said, ...console.trim().split('\n').slice(-SHOWN_LINES)];
      throw Object.assign(error as Error, { evidence });
    }
  }

  async remove(): Promise<void> {
    await this.cutPower();
  }

  /** Connects the machine's network card, whose tap device qemu creates and removes. */
  async #plugIn(qemu: ChildProcess): Promise<void> {
    for (const end = Date.now() + TAP_MS; !existsSync(`/sys/class/net/${this.#nic.tap}`); await sleep(20)) {
      if (qemu.exitCode !== null || Date.now() > end) throw new Error(`the machine of ${this.name} does not start`);
    }
    await mustRun('ip link', ['ip', 'link', 'set', this.#nic.tap, 'up', 'master', this.#plan.network]);
  }

  /** Does what a provider would do by cloud-init. */
  async #settle(): Promise<void> {
    // What a container of the lab cannot show: control groups v2 (Documentation/admin-guide/cgroup-v2.rst of Linux).
    await this.must(['test', '-e', '/sys/fs/cgroup/cgroup.controllers']);
    // Copied as an engine does for containers: the resolver is reachable through the machine.
    await this.must(['tee', '/etc/resolv.conf'], readFileSync('/etc/resolv.conf', 'utf8'));
    const folders = Object.values(this.#plan.folders);
    const mounts = folders.map(
      (path, index) => `folder${index} ${path} 9p trans=virtio,version=9p2000.L,ro,nofail 0 0\n`,
    );
    await this.must(['tee', '-a', '/etc/fstab'], mounts.join(''));
    await this.must(['mkdir', '-p', '--', ...folders]);
    await this.must(['mount', '--all']);
    // systemd makes units of these lines at its next reload; they must not count as left by the installation.
    await this.must(['systemctl', 'daemon-reload']);
  }

  #argv(): string[] {
    const { tap, mac } = this.#nic;
    const folders = Object.keys(this.#plan.folders);
    const options: (readonly [string, string])[] = [
      ['machine', `pc,accel=${hasKvm() ? 'kvm' : 'tcg'}`],
      ['cpu', 'max'],
      ['smp', String(PROCESSORS)],
      ['m', MEMORY],
      ['display', 'none'],
      ['serial', `file:${this.#path('console.log')}`],
      ['kernel', this.#files.kernel],
      ['initrd', this.#files.initrd],
      ['append', this.#kernelLine()],
      // Bypasses this machine's page cache: what the host has synced is on the disk when its power is cut.
      ['drive', `file=${this.#path('disk.qcow2')},format=qcow2,if=virtio,cache=none,discard=unmap`],
      ['netdev', `tap,id=net,ifname=${tap},script=no,downscript=no`],
      ['device', `virtio-net-pci,netdev=net,mac=${mac}`],
      ['device', 'virtio-rng-pci'],
      ['device', 'virtio-serial'],
      ['chardev', `socket,id=agent,path=${this.#path('agent.sock')},server=on,wait=off`],
      ['device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
      ...folders.map(
        (path, index) =>
          ['virtfs', `local,path=${path},mount_tag=folder${index},security_model=none,readonly=on`] as const,
      ),
    ];
    const flags = ['-nodefaults', '-no-user-config'];
    return ['qemu-system-x86_64', ...flags, ...options.flatMap(([name, value]) => [`-${name}`, value])];
  }

  /** systemd reads host name and network from it (kernel-command-line(7)) at every boot. */
  #kernelLine(): string {
    const { address, gateway, netmask } = this.#nic;
    const network = `ip=${address}::${gateway}:${netmask}:${this.name}:eth0:none`;
    const line = `root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.hostname=${this.name} ${network}`;
    return hasKvm() ? line : `${line} ${EASY_TO_TRANSLATE}`;
  }

  #path(name: string): string {
    return join(this.#plan.stateFolder, name);
  }
}

async function nicOf({ network, number }: HostPlan): Promise<Nic> {
  const format = '{{json (index .IPAM.Config 0)}}';
  const told = await mustRun('docker network', ['docker', 'network', 'inspect', '--format', format, network]);
  const { Subnet: subnet, Gateway: gateway } = Subnet.parse(JSON.parse(told));
  const ours = FIRST_ADDRESS + number;
  return {
    tap: `${network}-${number}`,
    mac: `52:54:00:6f:72:${ours.toString(16).padStart(2, '0')}`,
    address: gateway.replace(/\d+$/, String(ours)),
    gateway,
    netmask: netmaskOf(Number(subnet.split('/')[1])),
  };
}

/** @param bits of the network, 16 to 24 for networks of an engine: "255.255.240.0" for 20 */
const netmaskOf = (bits: number): string =>
  [0, 8, 16, 24].map((from) => 256 - 2 ** (8 - Math.min(8, Math.max(0, bits - from)))).join('.');
