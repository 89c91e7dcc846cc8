/** The faults: what is broken for real, by what name the doctor must find it, and which mend it must give. */
import { execFileSync } from 'node:child_process';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createServer as createRawServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BaseImages } from '../../../agent/detect/base-images.ts';
import { CHECKS } from '../../../agent/doctor/checks/index.ts';
import { mend } from '../../../agent/doctor/fix.ts';
import { LABEL } from '../../../agent/lib/labels.ts';
import { ensureEngine, stopEngine } from '../../../installer/prepare/engine.ts';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { makeCertificate } from '../../harness/certificates.ts';
import { enginePlan } from './host.ts';
import type { Changes, Host } from './host.ts';

interface Fault {
  readonly name: string;
  /** Puts it in. `undo` takes what was given to it, the last first, also when this throws. */
  inject(host: Host, undo: (work: () => unknown) => void): Promise<Changes | void> | Changes | void;
  /** Names of everything that the doctor finds then, beside what it finds on the well host. */
  readonly finds: readonly string[];
  /** In the mend of the first of them. */
  readonly mend: RegExp;
  /** In the evidence or sentence of the first of them. */
  readonly tells?: RegExp;
}

/** Long enough for all that does answer on a busy machine, ms. */
const HUNG_MS = 4000;

export const FAULTS: readonly Fault[] = [
  {
    name: 'Docker Engine is stopped',
    inject: (host) => ({ config: { dockerSocket: join(host.folder, 'nobody.sock') } }),
    finds: ['engine/unreachable'],
    mend: /systemctl start docker/,
  },
  {
    name: 'Docker Engine hangs',
    async inject(host, undo) {
      const pid = await host.enginePid();
      process.kill(pid, 'SIGSTOP');
      undo(() => process.kill(pid, 'SIGCONT'));
      return { answerMs: HUNG_MS };
    },
    finds: ['engine/hangs'],
    mend: /systemctl restart docker/,
  },
  {
    name: 'live-restore is off',
    async inject(host, undo) {
      const before = readFileSync(host.daemonConfig, 'utf8');
      await reload(host, before.replace('"live-restore": true', '"live-restore": false'));
      undo(() => reload(host, before));
    },
    finds: ['live-restore/off'],
    mend: /"live-restore": true.*systemctl reload docker/,
  },
  {
    name: 'Docker Engine copies every layer (vfs), on a new host',
    async inject(host, undo) {
      const plan = enginePlan(host.folder, 'vfs', ['unshare', '--net', '--', 'env', 'DOCKER_DRIVER=vfs']);
      undo(() => stopEngine(plan));
      await ensureEngine(plan, () => undefined);
      const stateFolder = host.copyState(join(host.folder, 'new'));
      undo(() => rmSync(stateFolder, { recursive: true }));
      rmSync(join(stateFolder, 'journal.sqlite'));
      return { config: { dockerSocket: plan.socket, stateFolder } };
    },
    finds: ['storage/slow-driver'],
    mend: /"storage-driver": "overlay2"/,
  },
  {
    name: 'the disk of the state folder is full',
    inject: (host, undo) => ({ config: { stateFolder: onOwnDisk(host, undo, { fill: 'bytes' }) } }),
    finds: ['disk/full'],
    mend: /du -xh/,
  },
  {
    name: 'the disk of the state folder takes no more files',
    inject: (host, undo) => ({ config: { stateFolder: onOwnDisk(host, undo, { fill: 'inodes' }) } }),
    finds: ['disk/inodes-full'],
    mend: /du -x --inodes/,
  },
  {
    name: 'the disk of the state folder is mounted read-only',
    inject(host, undo) {
      const stateFolder = onOwnDisk(host, undo, {});
      execFileSync('mount', ['-o', 'remount,ro', join(host.folder, 'disk')]);
      return { config: { stateFolder } };
    },
    finds: ['disk/read-only'],
    mend: /mount -o remount,rw \S+disk`/,
  },
  {
    name: 'others may enter the state folder',
    inject: (host, undo) => open(join(host.state), 0o755, 0o700, undo),
    finds: ['files/too-open'],
    mend: /chmod 0700 /,
  },
  {
    name: "others may read the host's key",
    inject: (host, undo) => open(join(host.state, 'host-key.pem'), 0o644, 0o600, undo),
    finds: ['files/too-open'],
    mend: /chmod 0600 \S*host-key\.pem/,
  },
  {
    name: 'everybody may call Docker',
    inject: (host, undo) => open(host.dockerSocket, 0o666, 0o660, undo),
    finds: ['files/engine-open'],
    mend: /chmod 0660/,
  },
  {
    name: 'the identity belongs to somebody else',
    inject(host, undo) {
      const path = join(host.state, 'identity.json');
      chownSync(path, 65_534, 65_534);
      undo(() => chownSync(path, 0, 0));
    },
    finds: ['files/wrong-owner'],
    mend: /chown 0 /,
  },
  {
    name: "the host's key is cut off",
    inject(host, undo) {
      const path = join(host.state, 'host-key.pem');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before));
      truncateSync(path, 80);
    },
    finds: ['keys/host-key-damaged'],
    mend: /backup/,
  },
  {
    name: 'the identity is gone',
    async inject(host, undo) {
      const path = join(host.state, 'identity.json');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before, { mode: 0o600 }));
      rmSync(path);
      await host.stopAgent();
      undo(() => host.serveAgent());
    },
    finds: ['agent/identity', 'agent/absent'],
    mend: /orkestr-agent join/,
  },
  {
    name: 'the identity is cut off while the agent runs',
    inject(host, undo) {
      const path = join(host.state, 'identity.json');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before));
      truncateSync(path, 40);
    },
    finds: ['agent/identity-damaged'],
    mend: /orkestr hosts join-token NAME/,
  },
  {
    name: 'the proxy is stopped',
    async inject(host, undo) {
      await host.stopProxy();
      undo(() => host.startProxy());
    },
    finds: ['proxy/absent', 'ports/nobody'],
    mend: /systemctl start orkestr-proxy/,
  },
  {
    name: 'the proxy hangs',
    inject(host, undo) {
      process.kill(host.proxy.pid, 'SIGSTOP');
      undo(() => process.kill(host.proxy.pid, 'SIGCONT'));
      return { answerMs: HUNG_MS };
    },
    finds: ['proxy/silent'],
    mend: /systemctl restart orkestr-proxy/,
  },
  {
    name: "both copies of the proxy's table are damaged",
    async inject(host, undo) {
      await host.stopProxy();
      const files = host.tableFiles().map((path) => [path, readFileSync(path)] as const);
      undo(() => host.startProxy());
      undo(() => files.forEach(([path, before]) => writeFileSync(path, before)));
      undo(() => host.stopProxy());
      for (const [path] of files) writeFileSync(path, '{"version":1,"upstreams":[{');
      await host.startProxy();
    },
    finds: ['proxy/table-unreadable', 'drift/not-served'],
    mend: /systemctl restart orkestr-agent/,
  },
  {
    name: 'another program has the port of the proxy',
    async inject(host, undo) {
      await host.stopProxy();
      undo(() => host.startProxy());
      const port = await listen(createRawServer(), undo);
      return { places: { ports: [port] } };
    },
    finds: ['proxy/absent', 'ports/held'],
    mend: /systemctl start orkestr-proxy/,
  },
  {
    name: 'another program has port 80, the proxy listens elsewhere',
    inject: async (_host, undo) => ({ places: { ports: [await listen(createRawServer(), undo)] } }),
    finds: ['ports/held-beside'],
    mend: new RegExp(`kill ${process.pid}\``),
  },
  {
    name: 'the app stands still',
    inject(host, undo) {
      host.docker('stop', '--time', '0', host.containerName);
      undo(() => host.docker('start', host.containerName));
    },
    finds: ['drift/not-served'],
    mend: /systemctl restart orkestr-agent/,
    tells: /its container does not run/,
  },
  {
    name: "the proxy's table is of another app",
    async inject(host, undo) {
      const [upstream] = (await host.proxy.table()).upstreams;
      const [target] = upstream?.targets ?? [];
      if (upstream === undefined || target === undefined) throw new Error('the well host serves nothing');
      const flipTo = (address: string): Promise<unknown> =>
        host.proxy.flip({
          entry: {
            id: upstream.id,
            generation: upstream.generation,
            routes: [...upstream.routes],
            edge: EdgeSettings.parse({}),
            targets: [{ id: target.id, port: target.port, address }],
          },
          expectedGeneration: upstream.generation,
        });
      await flipTo('172.31.255.254');
      undo(() => flipTo(target.address));
    },
    finds: ['drift/not-served'],
    mend: /systemctl restart orkestr-agent/,
    tells: /its address has changed/,
  },
  {
    name: 'the proxy has a route that nobody knows',
    async inject(host, undo) {
      const id = randomUUID();
      const target = { id: randomUUIDv7(), address: '172.31.255.254', port: 80 };
      const routes = [{ host: 'lost.example.com', pathPrefix: '/' }];
      const entry = { id, generation: 1, targets: [target], routes, edge: EdgeSettings.parse({}) };
      await host.proxy.flip({ entry, expectedGeneration: 0 });
      undo(() => host.removeRoute(id));
    },
    finds: ['drift/route-to-nothing'],
    mend: /Deploy the environment again/,
  },
  {
    name: 'a container of ours is left over',
    inject(host, undo) {
      host.makeContainer('left-over');
      undo(() => host.docker('rm', '--force', 'left-over'));
    },
    finds: ['orphans/container'],
    mend: /docker rm -f left-over/,
  },
  {
    name: 'a network of ours is left over',
    inject(host, undo) {
      const labels = [`${LABEL.scope}=${host.scope}`, `${LABEL.project}=${randomUUID()}`];
      host.docker('network', 'create', ...labels.flatMap((label) => ['--label', label]), 'left-over');
      undo(() => host.docker('network', 'rm', 'left-over'));
    },
    finds: ['orphans/network'],
    mend: /docker network rm left-over/,
  },
  {
    name: 'an image of ours is left over',
    inject(host, undo) {
      const change = `LABEL ${LABEL.scope}=${host.scope} ${LABEL.deployment}=${randomUUID()}`;
      host.importImage('left-over:1', ['--change', change]);
      undo(() => host.docker('rmi', 'left-over:1'));
    },
    finds: ['orphans/image'],
    mend: /docker rmi left-over:1/,
  },
  {
    name: "the hub's clock is an hour ahead",
    async inject(host, undo) {
      await hubOf(
        host,
        undo,
        createServer((_request, response) => {
          response.setHeader('date', new Date(Date.now() + 3_600_000).toUTCString());
          response.end('{"status":"ok"}');
        }),
      );
    },
    finds: ['clock/far-off'],
    mend: /timedatectl set-ntp true/,
    tells: /3600 s behind/,
  },
  {
    name: 'the hub does not answer',
    inject(host, undo) {
      undo(() => host.writeIdentity(host.hubUrl));
      host.writeIdentity('http://127.0.0.1:1');
    },
    finds: ['hub/unreachable'],
    mend: /curl -v http:\/\/127\.0\.0\.1:1\/healthz/,
  },
  {
    name: "the hub's certificate is of no authority that is trusted",
    async inject(host, undo) {
      const { cert, key } = await makeCertificate(host.folder, 'hub', ['IP:127.0.0.1']);
      await hubOf(
        host,
        undo,
        createSecureServer({ cert, key }, (_request, response) => response.end('{"status":"ok"}')),
      );
    },
    finds: ['hub/certificate-authority'],
    mend: /update-ca-(?:certificates|trust) && systemctl restart orkestr-agent`.*-connect 127\.0\.0\.1:\d+/,
    tells: /DEPTH_ZERO_SELF_SIGNED_CERT/,
  },
  {
    name: "something else answers at the hub's address",
    async inject(host, undo) {
      await hubOf(
        host,
        undo,
        createServer((_request, response) => response.writeHead(404).end('Not Found')),
      );
    },
    finds: ['hub/not-a-hub'],
    mend: /curl -i/,
  },
  {
    name: 'the hub has another key than the one of the enrolment',
    async inject(host, undo) {
      undo(() => host.serveAgent());
      const link = { connected: false, since: new Date(0).toISOString(), lastContact: null };
      const lastError = 'What answers is not the hub that this host was enrolled with.';
      await host.serveAgent({ hub: { ...link, hubUrl: host.hubUrl, lastError, lastCode: 'ORK_SIGNATURE' } });
    },
    finds: ['hub/other-hub'],
    mend: /orkestr-agent leave/,
  },
  {
    name: "the hub's pinned key is damaged",
    inject(host, undo) {
      undo(() => host.writeIdentity(host.hubUrl));
      host.writeIdentity(host.hubUrl, 'not a key');
    },
    finds: ['hub/pinned-key'],
    mend: /identity\.json/,
  },
  {
    name: 'no name server answers',
    inject: (host, undo) => ({ places: { resolvConf: resolvConf(host, undo, 'nameserver 127.53.7.10\n') } }),
    finds: ['dns/silent'],
    mend: /ping -c1 127\.53\.7\.10/,
    tells: /ECONNREFUSED/,
  },
  {
    name: 'the name server takes what it is asked and says nothing, and the hub has a name',
    async inject(host, undo) {
      const server = createSocket('udp4').bind(53, '127.53.7.11');
      undo(() => server.close());
      await once(server, 'listening');
      undo(() => host.writeIdentity(host.hubUrl));
      host.writeIdentity(host.hubUrl.replace('127.0.0.1', 'localhost'));
      return { places: { resolvConf: resolvConf(host, undo, 'nameserver 127.53.7.11\n') } };
    },
    finds: ['dns/silent'],
    mend: /ping -c1 127\.53\.7\.11/,
    tells: /no answer in 900 ms/,
  },
  {
    name: 'resolv.conf names no server',
    inject: (host, undo) => ({ places: { resolvConf: resolvConf(host, undo, 'search example.com\n') } }),
    finds: ['dns/no-servers'],
    mend: /nameserver/,
  },
  {
    name: 'the registry of the base images does not answer',
    inject: () => ({ config: { baseImages: BaseImages.parse({ node: '127.0.0.1:1/node:22' }) } }),
    finds: ['registry/unreachable'],
    mend: /https:\/\/127\.0\.0\.1:1\/v2\//,
  },
  {
    name: 'a firewall chain of ours was flushed',
    async inject(host, undo) {
      undo(() => mend(host.subject(), { checks: CHECKS, confirmed: false }));
      await host.inside('iptables', ['-w', '5', '-t', 'mangle', '-F', `ORKESTR-${host.scope}`], { timeoutMs: 10_000 });
    },
    finds: ['firewall/missing'],
    mend: /doctor --fix/,
    tells: /has 0 of 2 rules/,
  },
  {
    name: 'a firewall rule of ours lets through what it should drop',
    async inject(host, undo) {
      undo(() => mend(host.subject(), { checks: CHECKS, confirmed: false }));
      const rule = [`ORKESTR-${host.scope}`, '2', '-j', 'ACCEPT'];
      await host.inside('iptables', ['-w', '5', '-t', 'mangle', '-R', ...rule], { timeoutMs: 10_000 });
    },
    finds: ['firewall/missing'],
    mend: /doctor --fix/,
    tells: /has "-j ACCEPT" where "-j DROP" belongs/,
  },
  {
    name: 'rules of Docker were flushed by hand, or by a restart of nftables',
    async inject(host, undo) {
      const options = { timeoutMs: 10_000 };
      const { stdout: input } = await host.inside('iptables-save', [], options);
      undo(() => host.inside('iptables-restore', [], { ...options, input }));
      await host.inside('iptables', ['-w', '5', '-t', 'nat', '-F'], options);
    },
    finds: ['docker-rules/missing'],
    mend: /`systemctl restart docker`/,
    tells: /masquerades 1\S+\/\d+/,
  },
  {
    name: 'ufw keeps visitors out',
    async inject(host, undo) {
      const iptables = (...args: string[]): Promise<unknown> =>
        host.inside('iptables', ['-w', '5', ...args], { timeoutMs: 10_000 });
      undo(() => iptables('-P', 'INPUT', 'ACCEPT'));
      undo(() => iptables('-X', 'ufw-user-input'));
      await iptables('-N', 'ufw-user-input');
      await iptables('-P', 'INPUT', 'DROP');
    },
    finds: ['host-firewall/ufw'],
    mend: /`ufw allow \d+\/tcp`/,
  },
  {
    name: 'the journal is damaged',
    inject(host, undo) {
      const path = join(host.state, 'journal.sqlite');
      const before = readFileSync(path);
      undo(() => writeFileSync(path, before, { mode: 0o600 }));
      writeFileSync(path, Buffer.concat([before.subarray(0, 4096), Buffer.alloc(before.length - 4096, 0xa5)]));
    },
    finds: ['journal/damaged'],
    mend: /systemctl restart orkestr-agent/,
  },
  {
    name: 'the agent does not run',
    async inject(host, undo) {
      undo(() => host.serveAgent());
      await host.stopAgent();
    },
    finds: ['agent/absent'],
    mend: /systemctl start orkestr-agent/,
  },
  {
    name: 'the agent hangs',
    async inject(host, undo) {
      const socket = join(host.folder, 'run', 'hung.sock');
      const server = createRawServer().listen({ path: socket });
      undo(() => server.close());
      await once(server, 'listening');
      chmodSync(socket, 0o600);
      return { config: { agentSocket: socket }, answerMs: HUNG_MS };
    },
    finds: ['agent/silent'],
    mend: /systemctl restart orkestr-agent/,
  },
  {
    name: 'the kernel has no pids control group',
    inject(host, undo) {
      const cgroup = join(host.folder, 'cgroup');
      mkdirSync(cgroup);
      undo(() => rmSync(cgroup, { recursive: true }));
      writeFileSync(join(cgroup, 'cgroup.controllers'), 'cpu memory io\n');
      return { places: { cgroup } };
    },
    finds: ['cgroup/controller-missing'],
    mend: /cgroup_disable=pids/,
  },
];

type Undo = (work: () => unknown) => void;

function open(path: string, mode: number, right: number, undo: Undo): void {
  undo(() => chmodSync(path, right));
  chmodSync(path, mode);
}

/** Live-restore is among what dockerd reads anew on SIGHUP. */
async function reload(host: Host, config: string): Promise<void> {
  writeFileSync(host.daemonConfig, config);
  const wanted = String(config.includes('"live-restore": true'));
  process.kill(await host.enginePid(), 'SIGHUP');
  for (let tries = 0; tries < 100; tries += 1) {
    if (host.docker('info', '--format', '{{.LiveRestoreEnabled}}') === wanted) return;
    await delay(50);
  }
  throw new Error('the engine does not read its settings anew');
}

/** The state folder on a file system of its own: 128 inodes, 16 MiB. */
function onOwnDisk(host: Host, undo: Undo, { fill }: { readonly fill?: 'bytes' | 'inodes' }): string {
  const image = join(host.folder, 'disk.img');
  const mount = join(host.folder, 'disk');
  undo(() => rmSync(image));
  writeFileSync(image, '');
  truncateSync(image, 16 * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', '-N', '128', image]);
  mkdirSync(mount);
  undo(() => rmSync(mount, { recursive: true }));
  execFileSync('mount', ['-o', 'loop', image, mount]);
  undo(() => execFileSync('umount', [mount]));
  const stateFolder = host.copyState(join(mount, 'agent'));
  const more = join(mount, 'more');
  mkdirSync(more);
  if (fill === 'bytes') untilFull(() => writeFileSync(join(more, 'data'), Buffer.alloc(65_536), { flag: 'a' }));
  if (fill === 'inodes') untilFull((index) => writeFileSync(join(more, String(index)), ''));
  return stateFolder;
}

function untilFull(write: (index: number) => void): void {
  try {
    for (let index = 0; index < 100_000; index += 1) write(index);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return;
    throw error;
  }
  throw new Error('it does not get full');
}

/** A server on a port of its own that goes with the fault. */
async function listen(server: Server, undo: Undo): Promise<number> {
  undo(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Another hub at another address. */
async function hubOf(host: Host, undo: Undo, server: Server): Promise<void> {
  undo(() => host.writeIdentity(host.hubUrl));
  const scheme = 'setSecureContext' in server ? 'https' : 'http';
  host.writeIdentity(`${scheme}://127.0.0.1:${await listen(server, undo)}`);
}

function resolvConf(host: Host, undo: Undo, text: string): string {
  const path = join(host.folder, 'other-resolv.conf');
  undo(() => rmSync(path));
  writeFileSync(path, text);
  return path;
}
