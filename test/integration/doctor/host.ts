/**
 * A healthy host for the doctor to examine: its own engine in its own network namespace with one app, a real proxy, the
 * agent's journal, keys, firewall rules and local socket, a hub and a name server. Faults can be injected anywhere.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BaseImages } from '../../../agent/detect/base-images.ts';
import { CHECKS } from '../../../agent/doctor/checks/index.ts';
import { examine } from '../../../agent/doctor/doctor.ts';
import type { DoctorReport } from '../../../agent/doctor/doctor.ts';
import { HOST_PLACES, makeSubject } from '../../../agent/doctor/subject.ts';
import type { Places, Subject, SubjectConfig } from '../../../agent/doctor/subject.ts';
import { makeFirewall } from '../../../agent/firewall/firewall.ts';
import { scopeOf } from '../../../agent/identity/identity.ts';
import type { Identity } from '../../../agent/identity/identity.ts';
import { openJournal } from '../../../agent/journal/journal.ts';
import { systemClock } from '../../../agent/lib/clock.ts';
import { exec } from '../../../agent/lib/exec.ts';
import type { Exec } from '../../../agent/lib/exec.ts';
import { LABEL } from '../../../agent/lib/labels.ts';
import type { AgentView } from '../../../agent/local-api/agent-view.ts';
import { makeProxyClient } from '../../../agent/proxy-client/edge-proxy.ts';
import { serveLocalApi } from '../../../agent/local-api/server.ts';
import type { LocalApi } from '../../../agent/local-api/server.ts';
import { ensureEngine, stopEngine } from '../../../installer/prepare/engine.ts';
import type { EnginePlan } from '../../../installer/prepare/engine.ts';
import { runProgram } from '../../../installer/stack/run-program.ts';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import { sealerFromKeyFile } from '../../../protocol/sealing.ts';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { makeKeyPair } from '../../../protocol/signing.ts';
import { EdgeProcess } from '../../harness/edge-process.ts';

const quiet = (): void => undefined;
const IMAGE = 'doctor-app:1';
const MAX_IMAGE_BYTES = 67_108_864;
/** The engine has them all. */
const BASE_IMAGES = BaseImages.parse(
  Object.fromEntries(Object.keys(BaseImages.parse({})).map((kind) => [kind, IMAGE] as const)),
);
/** A loopback address of its own, so that port 53 on it is free. */
const NAME_SERVER = '127.53.7.9';

/** The machine may be busy with other tests, so only what hangs for good may count as slow, ms. */
const DEADLINE_MS = 20_000;
const ANSWER_MS = 10_000;

/** What a fault changes for the doctor. */
export interface Changes {
  readonly config?: Partial<SubjectConfig>;
  readonly places?: Partial<Places>;
  /** How long the doctor waits for an answer, ms. */
  readonly answerMs?: number;
}

export class Host {
  readonly folder = mkdtempSync(join(tmpdir(), 'ork-doctor-'));
  readonly hostId = randomUUID();
  readonly scope = scopeOf(this.hostId);
  readonly environmentId = randomUUID();
  readonly projectId = randomUUID();
  readonly deploymentId = randomUUIDv7();
  readonly containerName = `orkestr-${this.deploymentId}`;
  readonly state = join(this.folder, 'agent');
  readonly agentSocket = join(this.folder, 'run', 'agent.sock');
  readonly resolvConf = join(this.folder, 'resolv.conf');
  /** Names a server for builds, since that of the host is on loopback. */
  readonly engineSettings = join(this.folder, 'engine-settings.json');
  readonly #engine: EnginePlan;
  readonly #hubKey = makeKeyPair().publicKey;
  readonly #nameServer = createSocket('udp4');
  #hub: Server | null = null;
  #hubPort = 0;
  #api: LocalApi | null = null;
  #pid = 0;
  proxy!: EdgeProcess;

  private constructor() {
    this.#engine = enginePlan(this.folder, 'engine', ['unshare', '--net', '--']);
  }

  static async start(): Promise<Host> {
    const host = new Host();
    try {
      await host.#build();
      return host;
    } catch (error) {
      await host.stop();
      throw error;
    }
  }

  get dockerSocket(): string {
    return this.#engine.socket;
  }

  get daemonConfig(): string {
    return join(this.#engine.folder, 'daemon.json');
  }

  get config(): SubjectConfig {
    return {
      stateFolder: this.state,
      agentSocket: this.agentSocket,
      sandboxFolder: join(this.folder, 'run', 'sandbox'),
      proxySocket: join(this.folder, 'edge', 'admin.sock'),
      dockerSocket: this.dockerSocket,
      baseImages: BASE_IMAGES,
      appsReachEdge: false,
    };
  }

  /** Names of all problems found. */
  async problems(changes: Changes = {}): Promise<{ ids: string[]; report: DoctorReport }> {
    const report = await examine(this.subject(changes), { checks: CHECKS, deadlineMs: DEADLINE_MS });
    return { ids: report.checks.flatMap(({ problems }) => problems.map(({ id }) => id)), report };
  }

  subject(changes: Changes = {}): Subject {
    const { config, places } = changes;
    return makeSubject({
      config: { ...this.config, ...config },
      places: {
        ...HOST_PLACES,
        resolvConf: this.resolvConf,
        engineSettings: this.engineSettings,
        systemd: join(this.folder, 'no-systemd'),
        ports: [this.proxy.port],
        ...places,
      },
      clock: systemClock,
      exec: this.inside,
      answerMs: changes.answerMs ?? ANSWER_MS,
    });
  }

  /** The process id of dockerd itself. */
  async enginePid(): Promise<number> {
    if (this.#pid !== 0) return this.#pid;
    const { stdout } = await runProgram(['pgrep', '-f', `^dockerd.*${this.#engine.runFolder}`]);
    this.#pid = Number(stdout.trim().split('\n')[0]);
    return this.#pid;
  }

  /** Runs a program in the engine's network namespace, where this host's firewall rules are. */
  readonly inside: Exec = async (program, args, options) =>
    exec('nsenter', [`--net=/proc/${await this.enginePid()}/ns/net`, '--', program, ...args], options);

  docker = (...args: string[]): string =>
    execFileSync('docker', ['--host', `unix://${this.dockerSocket}`, ...args], { encoding: 'utf8' }).trim();

  /** Creates another container with our labels. */
  makeContainer(name: string, labels: Readonly<Record<string, string>> = {}): void {
    const all = {
      [LABEL.scope]: this.scope,
      [LABEL.deployment]: randomUUID(),
      [LABEL.environment]: randomUUID(),
      ...labels,
    };
    const flags = Object.entries(all).flatMap(([label, value]) => ['--label', `${label}=${value}`]);
    this.docker('run', '--detach', '--name', name, ...flags, IMAGE, '/bin/sleep', '100000');
  }

  /** Copies the state folder to another place. */
  copyState(to: string): string {
    cpSync(this.state, to, { recursive: true, preserveTimestamps: true });
    chmodSync(to, 0o700);
    return to;
  }

  async stopProxy(): Promise<void> {
    await this.proxy.stop();
  }

  async startProxy(): Promise<void> {
    this.proxy = await EdgeProcess.start({ name: 'proxy', folder: join(this.folder, 'edge'), engine: 'fast' });
  }

  /** The proxy's table and its previous copy. */
  tableFiles(): string[] {
    const folder = join(this.folder, 'edge', 'state');
    return readdirSync(folder)
      .filter((name) => name.startsWith('table'))
      .map((name) => join(folder, name));
  }

  async stopHub(): Promise<void> {
    this.#hub?.closeAllConnections();
    this.#hub?.close();
    this.#hub = null;
  }

  async serveAgent(view: Partial<AgentView> = {}): Promise<void> {
    await this.#api?.close();
    const status = (): never => {
      throw new Error('the doctor does not ask for that');
    };
    this.#api = await serveLocalApi(this.agentSocket, {
      status: async () => status(),
      agent: () => ({ ...this.#view(), ...view }),
      environments: () => new Map(),
      removals: { begin: async () => status(), status },
    });
  }

  async stopAgent(): Promise<void> {
    await this.#api?.close();
    this.#api = null;
  }

  /** Writes an identity file that names another hub. */
  writeIdentity(url: string, publicKey = this.#hubKey): void {
    const identity: Identity = {
      hostId: this.hostId,
      name: 'a host',
      hub: { url, publicKey },
      since: new Date(0).toISOString(),
    };
    writeFileSync(join(this.state, 'identity.json'), JSON.stringify(identity), { mode: 0o600 });
  }

  get hubUrl(): string {
    return `http://127.0.0.1:${this.#hubPort}`;
  }

  async stop(): Promise<void> {
    await this.#api?.close();
    await this.stopHub();
    this.#nameServer.close();
    await this.proxy?.stop();
    if (existsSync(this.dockerSocket))
      execFileSync('docker', ['--host', `unix://${this.dockerSocket}`, 'rm', '-f', this.containerName]);
    await stopEngine(this.#engine);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #build(): Promise<void> {
    mkdirSync(this.state, { mode: 0o700 });
    mkdirSync(dirname(this.agentSocket), { mode: 0o700 });
    await ensureEngine(this.#engine, quiet);
    this.importImage(IMAGE);
    const owner = {
      [LABEL.deployment]: this.deploymentId,
      [LABEL.environment]: this.environmentId,
      [LABEL.project]: this.projectId,
    };
    this.makeContainer(this.containerName, owner);
    // The project's network, as a deployment creates it.
    const labels = Object.entries({ [LABEL.scope]: this.scope, [LABEL.project]: this.projectId });
    this.docker('network', 'create', ...labels.map(([label, value]) => `--label=${label}=${value}`), 'project');
    const address = this.docker(
      'inspect',
      '--format',
      '{{.NetworkSettings.Networks.bridge.IPAddress}}',
      this.containerName,
    );
    await makeFirewall({ scope: this.scope, exec: this.inside }).ensure();
    this.#nameServer.on('message', (query, { port, address: from }) =>
      this.#nameServer.send(refusal(query), port, from),
    );
    this.#nameServer.bind(53, NAME_SERVER);
    await once(this.#nameServer, 'listening');
    writeFileSync(this.resolvConf, `nameserver ${NAME_SERVER}\n`);
    writeFileSync(this.engineSettings, '{"dns": ["192.0.2.53"]}');
    await this.#startHub();
    this.writeIdentity(this.hubUrl);
    const pair = makeKeyPair();
    writeFileSync(join(this.state, 'host-key.pem'), `${pair.privateKey}${pair.publicKey}`, { mode: 0o600 });
    await this.serveAgent();
    await this.startProxy();
    await this.#deploy(address);
  }

  /** Leaves what a finished deployment leaves: a live record in the journal, a route at the proxy. */
  async #deploy(address: string): Promise<void> {
    const entry = UpstreamEntry.parse({
      id: this.environmentId,
      generation: 1,
      targets: [{ id: this.deploymentId, address, port: 8080 }],
      routes: [{ host: 'shop.example.com', pathPrefix: '/' }],
      edge: EdgeSettings.parse({}),
    });
    const journal = await openJournal({
      stateFolder: this.state,
      sealer: sealerFromKeyFile(join(this.state, 'secret.key')),
      log: makeLogger('agent', 'silent'),
      now: Date.now,
    });
    journal.adopt({
      environmentId: this.environmentId,
      projectId: this.projectId,
      deploymentId: this.deploymentId,
      entry,
      healthCheck: null,
      release: null,
    });
    journal.close();
    await this.proxy.flip({ entry, expectedGeneration: 0 });
  }

  async #startHub(): Promise<void> {
    this.#hub = createServer((_request, response) => response.end('{"status":"ok"}'));
    this.#hub.listen(0, '127.0.0.1');
    await once(this.#hub, 'listening');
    this.#hubPort = (this.#hub.address() as AddressInfo).port;
  }

  /** Removes a route that no journal knows. */
  async removeRoute(upstreamId: string): Promise<void> {
    await makeProxyClient(this.config.proxySocket).remove(upstreamId);
  }

  /** Imports a root file system with one program that only waits. */
  importImage(name: string, flags: readonly string[] = []): void {
    const libraries = execFileSync('ldd', ['/bin/sleep'], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
    const archive = join(this.folder, 'app.tar');
    execFileSync('tar', [
      '--create',
      '--dereference',
      '--file',
      archive,
      '--directory',
      '/',
      'bin/sleep',
      ...libraries.map((path) => path.slice(1)),
    ]);
    this.docker('import', ...flags, archive, name);
    rmSync(archive);
  }

  /** Gives another engine the base images of this host. */
  copyBaseImages(socket: string): void {
    const archive = execFileSync('docker', ['--host', `unix://${this.dockerSocket}`, 'save', IMAGE], {
      maxBuffer: MAX_IMAGE_BYTES,
    });
    execFileSync('docker', ['--host', `unix://${socket}`, 'load'], { input: archive });
  }

  #view(): AgentView {
    const at = new Date(0).toISOString();
    const link = { connected: true, since: at, lastError: null, lastCode: null, lastContact: at };
    return {
      version: '0.0.0',
      hostId: this.hostId,
      pid: process.pid,
      since: at,
      hub: { hubUrl: 'http://127.0.0.1', ...link },
      deployments: [],
      recent: [],
      outbox: 0,
    };
  }
}

/** An engine in `folder`, started through `wrapper`. */
export const enginePlan = (folder: string, name: string, wrapper: readonly [string, ...string[]]): EnginePlan => ({
  folder: join(folder, name),
  runFolder: join(folder, 'run', name),
  logFile: join(folder, `${name}.log`),
  socket: join(folder, `${name}.sock`),
  systemd: false,
  wrapper,
});

/** RFC 1035, 4.1.1: the question as received, with QR set and RCODE 3 (no such name). */
function refusal(query: Buffer): Buffer {
  const answer = Buffer.from(query);
  answer[2] = 0x81;
  answer[3] = 0x83;
  return answer;
}
