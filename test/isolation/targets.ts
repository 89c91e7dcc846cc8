/** The targets to try from each place, and the expected results. */
import { run } from '../../agent/lib/exec.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';
import type { Target } from './prober.mjs';
import { OTHER_METADATA, hostDoors, socketsIn } from './world.ts';
import type { World } from './world.ts';

export interface Trial {
  readonly target: Target;
  readonly allowed: boolean;
}

const trial =
  (allowed: boolean) =>
  (kind: Target['kind'], name: string, to: string, port = 0): Trial => ({
    target: { name: `${kind}:${name}`.replaceAll(/\s/g, '-'), kind, to, port },
    allowed,
  });
const forbidden = trial(false);
const allowed = trial(true);

interface Ours {
  /** Ports of hub and proxy, on loopback. */
  readonly loopbackPorts: readonly number[];
  /** Folder of the stack's unix sockets. */
  readonly runFolder: string;
  /** Matches the names of this agent's interfaces on the host. */
  readonly interfaces: RegExp;
  /** Container of another project. */
  readonly otherProject: Container;
}

export interface Container {
  readonly address: string;
  readonly port: number;
}

/** What neither a build nor an app may reach. */
export async function forbiddenTrials(world: World, ours: Ours): Promise<readonly Trial[]> {
  const doors = await hostDoors(ours.interfaces);
  const { guests, slot } = world;
  const v4 = doors.filter((door) => !door.includes(':'));
  return [
    ...doors.flatMap((door) => [
      forbidden('tcp', `host,${door}`, door, world.hostPort),
      forbidden('udp', `host,${door}`, door, world.hostUdpPort),
    ]),
    ...v4.flatMap((door) => [
      forbidden('tcp', `docker-api,${door}`, door, world.dockerPort),
      ...guests.map(({ publishedPort }, index) => forbidden('tcp', `published-${index},${door}`, door, publishedPort)),
    ]),
    ...ours.loopbackPorts.map((port) => forbidden('tcp', `loopback,${port}`, '127.0.0.1', port)),
    ...guests.map(({ address, port }, index) => forbidden('tcp', `guest-${index}`, address, port)),
    forbidden('tcp', 'other-project', ours.otherProject.address, ours.otherProject.port),
    forbidden('tcp', 'other-slot', slot.address, slot.port),
    forbidden('tcp', 'metadata', '169.254.169.254', 80),
    forbidden('udp', 'metadata', '169.254.169.254', 7),
    forbidden('tcp', 'metadata-elsewhere', OTHER_METADATA, 80),
    ...[DOCKER_SOCKET, ...socketsIn(ours.runFolder)].map((path) => forbidden('unix', path, path)),
    forbidden('unix', 'abstract', world.abstractSocket),
  ];
}

/** A container of the same project: closed to its builds, open to its apps. */
export const siblingTrial = (container: Container, open: boolean): Trial =>
  trial(open)('tcp', 'same-project', container.address, container.port);

/** What both may reach, like the host; forbidden to a build with an allow-list. */
export async function internetTrials(world: World, open: boolean): Promise<readonly Trial[]> {
  const registry = await registryUrl();
  const judged = trial(open);
  return [
    judged('tcp', 'internet', world.internet, 80),
    judged('udp', 'internet', world.internet, 7),
    judged('dns', 'registry', registry.hostname),
    judged('http', 'registry', registry.href),
  ];
}

/** Through the proxy of a build whose list contains the registry and `door`, an address of the host. */
export async function proxiedTrials(world: World, door: string): Promise<readonly Trial[]> {
  const registry = await registryUrl();
  return [
    allowed('proxied', 'registry', registry.hostname, portOf(registry)),
    forbidden('proxied', 'registry-on-another-port', registry.hostname, 8443),
    forbidden('proxied', 'internet', world.internet, 80),
    forbidden('proxied', 'listed-host', door, world.hostPort),
    forbidden('proxied', 'metadata', '169.254.169.254', 80),
    ...world.guests.map(({ address, port }, index) => forbidden('proxied', `guest-${index}`, address, port)),
  ];
}

export const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === 'https:' ? 443 : 80));

/** The npm registry of this machine, from npm's own configuration. */
export async function registryUrl(): Promise<URL> {
  const { stdout } = await run('npm', ['config', 'get', 'registry'], { timeoutMs: 30_000 });
  return new URL(stdout.trim());
}
