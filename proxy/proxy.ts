/** Assembles the whole proxy. Tests start it in their own process. */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../protocol/errors.ts';
import type {
  CertificateList,
  DrainAnswer,
  DrainRequest,
  HandOverAnswer,
  HandOverRequest,
  RetryAnswer,
  RetryRequest,
  UpstreamEntry,
} from '../protocol/proxy-admin.ts';
import type { Logger } from '../protocol/service/logger.ts';
import type { Clock } from './clock.ts';
import { successorEnvironment } from './config.ts';
import type { Config } from './config.ts';
import { serveAdmin } from './control/admin.ts';
import type { Admin, Control } from './control/admin.ts';
import { TableFile } from './control/table-file.ts';
import { Table } from './control/table.ts';
import { startSuccessor } from './hand-over/start.ts';
import type { Successor } from './hand-over/start.ts';
import type { Predecessor } from './hand-over/successor.ts';
import { closeSockets, openSockets } from './listen/sockets.ts';
import type { Listening, ListenSocket } from './listen/sockets.ts';
import { PlaneGroup } from './planes/group.ts';
import { lastWordsOf } from './planes/planes.ts';
import type { Plane } from './plane.ts';
import { makeServing } from './serving.ts';
import type { Serving, ServingSettings } from './serving.ts';
import type { Tls } from './tls/start.ts';
import { WorkerPool } from './workers/pool.ts';

/** The port on which visitors reach TLS, for an inherited socket that does not report its own. */
const HTTPS_PORT = 443;

export interface Proxy {
  readonly addresses: readonly Listening[];
  readonly table: Table;
  /** The plane of this process; null when workers serve. */
  readonly plane: Plane | null;
  /** Pids of the workers. */
  readonly pids: readonly number[];
  /**
   * Starts the successor and waits until it serves. Resolves with its pid; after that only `close` is left to call.
   * @throws OrkestrError ORK_PROXY_HAND_OVER when the successor fails to start serving; nothing has changed then
   */
  handOver(request: HandOverRequest): Promise<HandOverAnswer>;
  /** Stops accepting connections, lets work in flight finish, and cuts what is still open after `shutdownMs`. */
  close(shutdownMs?: number): Promise<void>;
}

interface Environment {
  readonly log: Logger;
  readonly clock: Clock;
  /** The proxy that started this one as its successor. */
  readonly predecessor?: Predecessor | null;
  /** Called once a successor serves; only `close` is left to call. @param pid the successor's */
  readonly onHandedOver?: (pid: number) => void;
}

/**
 * Restores the table, takes the admin socket (which only one proxy can own), and listens. A successor serves first and
 * takes the admin socket afterwards.
 * @throws OrkestrError ORK_ALREADY_RUNNING; ORK_CONFIG when it cannot listen on an address
 */
export async function startProxy(config: Config, environment: Environment): Promise<Proxy> {
  const { log, clock, predecessor = null } = environment;
  const group = new PlaneGroup(config.workers, log);
  const file = new TableFile(config.stateDirectory, log);
  const table = await Table.restore(file, group, clock, predecessor?.inheritance.kept);
  const proxy = new Running(config, environment, group, table);
  try {
    await (predecessor ? proxy.takeOver(predecessor) : proxy.start());
  } catch (error) {
    await proxy.close(0);
    throw error;
  }
  return proxy;
}

/** What accepts connections for the planes: listeners of this process, or workers. */
interface Front {
  readonly addresses: readonly Listening[];
  readonly plane: Plane | null;
  readonly pids: readonly number[];
  close(shutdownMs: number): Promise<void>;
}

class Running implements Proxy, Control {
  readonly table: Table;
  readonly planes: PlaneGroup;
  readonly #config: Config;
  readonly #environment: Environment;
  #admin: Admin | null = null;
  #sockets: readonly ListenSocket[] = [];
  #tls: Tls | null = null;
  #front: Front | null = null;
  /** Settles once the proxy listens or has failed to. */
  #listening: Promise<void> = Promise.resolve();
  #successor: Successor | null = null;
  readonly #stopping = new AbortController();
  #predecessorGone: Promise<void> = Promise.resolve();

  constructor(config: Config, environment: Environment, group: PlaneGroup, table: Table) {
    this.#config = config;
    this.#environment = environment;
    this.planes = group;
    this.table = table;
  }

  get addresses(): readonly Listening[] {
    return this.#front?.addresses ?? [];
  }

  get plane(): Plane | null {
    return this.#front?.plane ?? null;
  }

  get pids(): readonly number[] {
    return this.#front?.pids ?? [];
  }

  async start(): Promise<void> {
    this.#admin = await this.#openAdmin('new');
    this.#listening = this.#listen();
    await this.#listening;
  }

  async takeOver(predecessor: Predecessor): Promise<void> {
    const { inheritance, planes } = predecessor;
    for (const hold of inheritance.holds) await this.planes.hold(hold);
    await this.#listen();
    this.planes.adopt(planes);
    predecessor.onFarewell((words) => this.planes.hearLast(planes, words));
    this.#predecessorGone = new Promise((resolve) => {
      predecessor.onGone(() => {
        this.planes.leave(planes);
        resolve();
      });
    });
    this.#admin = await this.#openAdmin('replace');
    predecessor.relieve();
  }

  async drain(request: DrainRequest, given: AbortSignal): Promise<DrainAnswer> {
    const answer = await this.planes.drain(request, given);
    this.planes.drained(request.upstreamId, answer);
    return answer;
  }

  certificates(): CertificateList {
    return this.#tls?.view() ?? { certificates: [], missing: [] };
  }

  async retryCertificate({ host }: RetryRequest): Promise<RetryAnswer> {
    const changed = await this.#tls?.retry(host);
    if (changed !== undefined) return { changed };
    throw new OrkestrError('ORK_NOT_FOUND', 'The proxy does not terminate TLS and requests no certificates.');
  }

  async handOver({ execPath, args }: HandOverRequest): Promise<HandOverAnswer> {
    // Until this proxy listens it has no sockets to pass on, and visitors would reach those of either process.
    await this.#listening;
    const { inherited, launcher } = this.#config;
    const admin = inherited.filter(({ kind }) => kind === 'admin');
    const passed = [...this.#sockets, ...admin];
    const program = {
      execPath: execPath ?? launcher ?? process.execPath,
      args: args ?? (launcher === null ? [...process.execArgv, ...process.argv.slice(1)] : process.argv.slice(2)),
      env: successorEnvironment(passed.map(({ kind }) => kind)),
      fds: passed.map(({ fd }) => fd),
    };
    await this.table.yield(async (kept) => {
      const inheritance = { kept: [...kept], holds: [...this.planes.holds] };
      try {
        this.#successor = await startSuccessor(program, inheritance, this.planes, this.#stopping.signal);
      } catch (error) {
        // The successor may have died after it took the admin socket's path.
        if (!this.#stopping.signal.aborted) await this.#admin?.reclaim();
        throw error;
      }
    });
    const pid = this.#successor?.pid ?? 0;
    this.#admin?.yield();
    this.#environment.onHandedOver?.(pid);
    return { pid };
  }

  async close(shutdownMs: number = this.#config.timeouts.shutdownMs): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#front?.close(shutdownMs), this.#tls?.close()]);
    this.#tls = null;
    if (this.#successor) {
      // The successor hears from the process before this one only through this one, so wait while that one drains.
      await Promise.race([this.#predecessorGone, sleep(shutdownMs, undefined, { ref: false })]);
      this.#successor.farewell(await lastWordsOf(this.planes));
    }
    await this.#admin?.close();
  }

  #openAdmin(how: 'new' | 'replace'): Promise<Admin> {
    const { adminSocket, inherited } = this.#config;
    const fd = inherited.find(({ kind }) => kind === 'admin')?.fd;
    return serveAdmin(fd === undefined ? { path: adminSocket, how } : { fd }, this, this.#environment.log);
  }

  async #listen(): Promise<void> {
    this.#sockets = await openSockets(this.#config);
    if (this.#sockets.some(({ kind }) => kind === 'https')) this.#tls = await this.#openTls();
    this.#front = this.#config.workers === 1 ? await this.#serveHere() : await this.#serveByWorkers();
  }

  /** Imports the TLS code on demand: a proxy without an https listener never loads it. */
  async #openTls(): Promise<Tls> {
    const { startTls } = await import('./tls/start.ts');
    const { certificates, acme, stateDirectory } = this.#config;
    const settings = {
      ...(certificates !== null && { certificatesFolder: certificates }),
      stateDirectory: join(stateDirectory, 'tls'),
      acme,
    };
    const { log, clock } = this.#environment;
    const tls = await startTls(settings, { log, clock, onChange: (change) => this.planes.secure(change) });
    this.table.onChange((entries) => tls.wanted(entries.flatMap(hostsByHttps)));
    return tls;
  }

  async #serveHere(): Promise<Front> {
    const { log, clock } = this.#environment;
    const serving = makeServing(this.#serving(), { log, clock, terminator: this.#tls?.terminator ?? null });
    this.planes.join(serving.planes);
    const addresses: Listening[] = [];
    const front: Front = {
      addresses,
      plane: serving.plane,
      pids: [],
      close: (shutdownMs) => serving.close(shutdownMs),
    };
    // From here on `close` ends what has started, even if one of the sockets fails to listen.
    this.#front = front;
    for (const socket of this.#sockets) addresses.push({ ...(await listenOn(serving, socket)), kind: socket.kind });
    return front;
  }

  async #serveByWorkers(): Promise<Front> {
    const { logLevel } = this.#config;
    const settings = { serving: this.#serving(), logLevel, sockets: this.#sockets };
    const { pool, addresses } = await WorkerPool.start(settings, this.planes, this.#environment.log);
    return {
      addresses,
      plane: null,
      get pids() {
        return pool.pids;
      },
      close: async (shutdownMs) => {
        // Close the sockets first: new connections must be refused rather than queue where nobody accepts them.
        closeSockets(this.#sockets);
        this.#sockets = [];
        await pool.close(shutdownMs);
      },
    };
  }

  #serving(): ServingSettings {
    const { engine, trusted, proxyProtocol, accessLog, limits, timeouts, workers } = this.#config;
    const httpsPort = this.#sockets.find(({ kind }) => kind === 'https')?.port ?? HTTPS_PORT;
    return { engine, trusted, proxyProtocol, accessLog, limits, timeouts, workers, httpsPort };
  }
}

/** Hosts to request certificates for. A host whose owner has switched https off must not be disclosed to a CA. */
const hostsByHttps = ({ edge, routes }: UpstreamEntry): string[] =>
  edge.https === 'off' ? [] : routes.map(({ host }) => host);

async function listenOn(serving: Serving, { kind, handle }: ListenSocket): Promise<AddressInfo> {
  try {
    return await serving.listen({ kind, handle });
  } catch (error) {
    throw new OrkestrError('ORK_CONFIG', `The proxy cannot listen for ${kind}: ${String(error)}.`, { cause: error });
  }
}
