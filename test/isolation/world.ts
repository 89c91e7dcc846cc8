/** Everything around a host that a build or an app might reach: created for one run and removed afterwards. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { makeEngine } from '../../agent/docker/engine.ts';
import {
  type Ending,
  makeEndings,
  openMetadataService,
  openRemoteHost,
  serveIn,
} from '../../agent/firewall/test-remote-host.ts';
import type { Engine } from '../../agent/lib/engine.ts';
import { exec, run } from '../../agent/lib/exec.ts';
import { hostAddresses } from '../../agent/lib/host-network.ts';
import { makeSandboxNetwork } from '../../agent/sandbox/network/network.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';

/** Metadata service of Alibaba Cloud, outside 169.254.0.0/16. */
export const OTHER_METADATA = '100.100.100.200';
const CONTAINER_PORT = 8080;
const SLOT_PORT = 8081;
const ECHO_SERVER = `require('node:net').createServer((socket) => socket.on('error', () => {}).end('guest'))`;

export interface World {
  /** Listens on every address of the host. */
  readonly hostPort: number;
  /** The same for UDP; echoes what it receives. */
  readonly hostUdpPort: number;
  /** The Docker API over TCP, on every address of the host. */
  readonly dockerPort: number;
  /** First words of the datagrams that arrived at `hostUdpPort`: the sender, and the target it meant. */
  readonly datagrams: ReadonlySet<string>;
  /** A machine on the internet: TCP port 80, UDP port 7. */
  readonly internet: string;
  /** Abstract socket of the host. */
  readonly abstractSocket: string;
  /** Containers of somebody else. */
  readonly guests: readonly Guest[];
  /** Another build's sandbox: the listener in it, and its namespace. */
  readonly slot: { readonly address: string; readonly port: number; readonly namespace: string };
  end(): Promise<void>;
}

interface Guest {
  readonly address: string;
  readonly port: number;
  /** The port of the host that leads to it. */
  readonly publishedPort: number;
}

export async function openWorld(): Promise<World> {
  const t = makeEndings();
  try {
    const internet = `198.51.100.${randomBytes(1).readUInt8() | 3}`;
    await openMetadataService(t);
    await openRemoteHost(t, OTHER_METADATA, 'meta');
    await openRemoteHost(t, internet, 'world');
    const datagrams = new Set<string>();
    const abstractSocket = `@orkestr-isolation-${randomBytes(4).toString('hex')}`;
    await serve(t, (socket) => socket.end('host'), { path: abstractSocket.replace('@', '\0') });
    return {
      hostPort: await serve(t, (socket) => socket.end('host'), { host: '::', port: 0 }),
      hostUdpPort: await echoDatagrams(t, datagrams),
      dockerPort: await serve(t, relayToDocker, { host: '::', port: 0 }),
      datagrams,
      internet,
      abstractSocket,
      guests: await openGuests(t),
      slot: await openSlot(t),
      end: () => t.end(),
    };
  } catch (error) {
    await t.end();
    throw error;
  }
}

/** @returns the port, 0 for a path */
async function serve(t: Ending, answer: (socket: Socket) => void, where: object): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // a client that only checked whether it is open has left
    answer(socket);
  }).listen(where);
  t.after(async () => server.close());
  await once(server, 'listening');
  const address = server.address() as AddressInfo | string;
  return typeof address === 'string' ? 0 : address.port;
}

function relayToDocker(socket: Socket): void {
  const engine = connect(DOCKER_SOCKET).on('error', () => socket.destroy());
  socket.on('close', () => engine.destroy());
  socket.pipe(engine).pipe(socket);
}

async function echoDatagrams(t: Ending, seen: Set<string>): Promise<number> {
  const server = createSocket({ type: 'udp6', ipv6Only: false });
  server.on('message', (message, from) => {
    seen.add(String(message));
    server.send(message, from.port, from.address, () => undefined);
  });
  server.bind(0, '::');
  t.after(async () => server.close());
  await once(server, 'listening');
  return server.address().port;
}

/**
 * Containers that are not ours, each with a published port: on docker0, on a network that Docker has just created, and
 * on one whose bridge has a name without meaning.
 */
async function openGuests(t: Ending): Promise<readonly Guest[]> {
  const names = [1, 2, 3].map(() => `isolation-${randomBytes(3).toString('hex')}`);
  const [onDefault = '', onNew = '', onNamed = ''] = names;
  await makeNetwork(t, onNew, {});
  await makeNetwork(t, onNamed, { 'com.docker.network.bridge.name': `gst${onNamed.slice(-6)}` });
  return [
    await openGuest(t, onDefault, 'bridge'),
    await openGuest(t, onNew, onNew),
    await openGuest(t, onNamed, onNamed),
  ];
}

async function makeNetwork(t: Ending, name: string, options: Record<string, string>): Promise<void> {
  const network = await engine().call('make a network', (docker) =>
    docker.createNetwork({ Name: name, Options: options }),
  );
  t.after(() => network.remove());
}

async function openGuest(t: Ending, name: string, network: string): Promise<Guest> {
  const key = `${CONTAINER_PORT}/tcp`;
  const container = await engine().call('make a container', (docker) =>
    docker.createContainer({
      name,
      Image: 'node:26-trixie-slim',
      Cmd: ['node', '-e', `${ECHO_SERVER}.listen(${CONTAINER_PORT})`],
      ExposedPorts: { [key]: {} },
      HostConfig: { NetworkMode: network, PortBindings: { [key]: [{ HostPort: '' }] } },
    }),
  );
  t.after(() => container.remove({ force: true, v: true }));
  await container.start();
  const { NetworkSettings } = await container.inspect();
  const address = NetworkSettings.Networks[network]?.IPAddress ?? '';
  return { address, port: CONTAINER_PORT, publishedPort: Number(NetworkSettings.Ports[key]?.[0]?.HostPort) };
}

const engine = (): Engine => makeEngine({ socketPath: DOCKER_SOCKET });

/** The network of a second sandbox, as it is while its engine runs. */
async function openSlot(t: Ending): Promise<World['slot']> {
  const network = makeSandboxNetwork(randomBytes(4).toString('hex'), exec);
  t.after(() => network.remove());
  await network.ensure();
  const namespace = network.namespacePath.split('/').at(-1) ?? '';
  serveIn(t, namespace, `${ECHO_SERVER}.listen(${SLOT_PORT})`);
  const { engine } = await network.ends();
  return { address: engine, port: SLOT_PORT, namespace };
}

/** Host addresses that others could use: of the default route, of docker0, and of `bridges`. */
export async function hostDoors(bridges: RegExp): Promise<readonly string[]> {
  const { stdout } = await run('ip', ['-json', 'route', 'show', 'default'], { timeoutMs: 10_000 });
  const out = (JSON.parse(stdout) as { dev: string }[]).map(({ dev }) => dev);
  const doors = (await hostAddresses()).filter(
    ({ name }) => out.includes(name) || name === 'docker0' || bridges.test(name),
  );
  // A container's own link is eth0, whatever its name on the host.
  return doors.map(({ address }) => (address.startsWith('fe80:') ? `${address}%eth0` : address));
}

/** Every unix socket in a folder. */
export const socketsIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isSocket())
    .map(({ parentPath, name }) => join(parentPath, name));
