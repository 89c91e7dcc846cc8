/**
 * One connection of one host after its handshake: heartbeat, bounded queue of messages, storing of reports,
 * acknowledgements.
 */
import type { WebSocket } from 'ws';
import type { HubMessage } from '../../protocol/agent-link.ts';
import type { AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { inVersion, SINCE } from '../../protocol/versions.ts';
import type { CoreDeps, News, Peer, Scheduler, Upgrades } from '../deps.ts';
import { LEASE_SECONDS } from '../scheduler/lease.ts';
import { takeCertificates } from './certificates.ts';
import { takeDownApps } from './down-apps.ts';
import { recordHostStatus } from '../store/hosts.ts';
import { AppLogReads } from './app-log-reads.ts';
import { type Heard, type NumberedReport, readAgentMessage } from './frames.ts';
import type { Intake } from './intake.ts';
import { applyReports } from './reports.ts';
import { CLOSE_REVOKED, type Session } from './sessions.ts';

export interface SessionDeps extends CoreDeps {
  readonly news: News;
  readonly scheduler: Pick<Scheduler, 'settle' | 'renewLeases' | 'handOn' | 'edgeChanged' | 'edgeHeard'>;
  readonly upgrades: Pick<Upgrades, 'heard'>;
  readonly intake: Intake;
}

/** Queued messages at which the socket is paused until there is room again. */
const MAX_WAITING = 256;
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** Unsent bytes at which a host counts as stuck. It gets everything again on its next connection. */
const MAX_UNSENT_BYTES = 32 * 1024 * 1024;
/** Maximum number of reports stored in one transaction. */
const BATCH = 64;
/** Heartbeats without an answer after which a connection is dead. */
const MISSED_HEARTBEATS = 2;
/** How long the host may take to answer a close frame, ms. */
const CLOSE_MS = 2_000;

interface Waiting {
  readonly message: Heard;
  readonly bytes: number;
}

export class HostSession implements Session {
  readonly hostId: string;
  readonly peer: Peer;
  readonly #socket: WebSocket;
  readonly #deps: SessionDeps;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #working = false;
  #heardSince = true;
  #missed = 0;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #appLogs = new AppLogReads((message) => this.send(message));

  constructor(
    socket: WebSocket,
    host: { readonly id: string; readonly peer: Peer },
    deps: SessionDeps,
    heartbeatMs: number,
  ) {
    this.#socket = socket;
    this.hostId = host.id;
    this.peer = host.peer;
    this.#deps = deps;
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs);
    socket.on('close', () => {
      clearInterval(this.#heartbeat);
      this.#appLogs.lost();
    });
    for (const sign of ['message', 'ping', 'pong'] as const) socket.on(sign, () => (this.#heardSince = true));
  }

  send(message: HubMessage): void {
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
      this.#deps.log.warn({ hostId: this.hostId }, 'the host does not read what it is sent: connection ended');
      this.#socket.terminate();
      return;
    }
    const said = inVersion(message, this.peer.protocol);
    if (said) this.#socket.send(JSON.stringify(said));
    else
      this.#deps.log.error(
        { hostId: this.hostId, type: message.type },
        'a message was not sent: the version of the host does not know it',
      );
  }

  /** @throws OrkestrError ORK_PROTOCOL_AGENT_OLD */
  readAppLog(request: AppLogRequest): AppLogRead {
    const { agentVersion, protocol } = this.peer;
    if (protocol >= SINCE.appLogs) return this.#appLogs.open(request);
    throw new OrkestrError(
      'ORK_PROTOCOL_AGENT_OLD',
      `The agent on the host (version ${agentVersion}) is too old to read app logs.`,
    );
  }

  close(code: number, reason: string): void {
    // Messages queued before the key was revoked are discarded like later ones.
    if (code === CLOSE_REVOKED) this.#waiting.length = 0;
    closeSoon(this.#socket, code, reason);
  }

  /** Queues a frame, in order. When the queue is full, TCP backpressure slows the host down. */
  receive(data: Buffer, isBinary: boolean): void {
    const message = readAgentMessage(data, isBinary);
    if (message.type === 'hello') throw new OrkestrError('ORK_PROTOCOL', 'A hello comes once, first.');
    // Credit bounds their number and they are not stored, so they need not queue behind reports.
    if (message.type === 'app-log-chunk') return this.#appLogs.chunk(message);
    if (message.type === 'app-log-end') return this.#appLogs.ended(message);
    this.#waiting.push({ message, bytes: data.length });
    this.#waitingBytes += data.length;
    if (this.#isFull()) this.#socket.pause();
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    try {
      while (this.#waiting.length > 0) {
        await this.#handle(this.#takeBatch());
        if (this.#socket.isPaused && !this.#isFull()) this.#socket.resume();
      }
    } catch (error) {
      this.#waiting.length = 0;
      this.#deps.log.warn({ err: error, hostId: this.hostId }, 'a message of the host could not be taken');
      refuse(this.#socket, error, this.peer.protocol);
    } finally {
      this.#working = false;
    }
  }

  /** One message, or a run of consecutive reports. */
  #takeBatch(): readonly Heard[] {
    const end = this.#waiting.findIndex(({ message }) => message.type !== 'report');
    const reports = end === -1 ? this.#waiting.length : end;
    const batch = this.#waiting.splice(0, Math.min(Math.max(reports, 1), BATCH));
    for (const { bytes } of batch) this.#waitingBytes -= bytes;
    return batch.map(({ message }) => message);
  }

  async #handle(batch: readonly Heard[]): Promise<void> {
    const { db, clock, uptime, scheduler } = this.#deps;
    const [first] = batch;
    switch (first?.type) {
      case undefined:
      case 'hello':
      case 'app-log-chunk':
      case 'app-log-end':
        return; // never queued
      case 'report':
        return this.#store(batch.filter((message): message is NumberedReport => message.type === 'report'));
      case 'renew':
        for (const deploymentId of await scheduler.renewLeases(this.hostId, first.deploymentIds)) {
          this.send({ type: 'lease', deploymentId, leaseSeconds: LEASE_SECONDS });
        }
        return;
      case 'status':
        return db.transaction().execute(async (trx) => {
          const now = clock.now().toISOString();
          const { certificates, downApps, ...status } = first.status;
          await recordHostStatus(trx, this.hostId, status, now);
          if (certificates !== undefined) await takeCertificates(trx, this.hostId, certificates, { now, uptime });
          if (downApps !== undefined) await takeDownApps(trx, this.hostId, downApps, { now, uptime });
        });
      case 'upgrade-state':
        return this.#deps.upgrades.heard(this.hostId, first);
      case 'edge-state':
        return scheduler.edgeHeard(this.hostId, first);
    }
  }

  async #store(reports: readonly NumberedReport[]): Promise<void> {
    const { db, log, clock, news, scheduler, intake } = this.#deps;
    const effects = await intake.take(() => applyReports(db, log, this.hostId, reports, clock.now().toISOString()));
    this.send({ type: 'ack', sequence: effects.acknowledged });
    for (const id of effects.changed) news.publish(id);
    for (const id of [...effects.built, ...effects.renumbered]) await scheduler.handOn(id);
    for (const environmentId of effects.ended) {
      // Send settings that were changed while it ran, or before anything was live.
      await scheduler.edgeChanged(environmentId);
      await scheduler.settle(environmentId);
    }
  }

  #isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING || this.#waitingBytes >= MAX_WAITING_BYTES;
  }

  #beat(): void {
    // While our side has paused reading, silence says nothing about the host.
    const alive = this.#heardSince || this.#socket.isPaused;
    this.#missed = alive ? 0 : this.#missed + 1;
    this.#heardSince = false;
    if (this.#missed >= MISSED_HEARTBEATS) this.#socket.terminate();
    else this.#socket.ping();
  }
}

/** Closes the connection; cuts it when the other side does not answer soon. */
export function closeSoon(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, reason.slice(0, 100));
  // A paused socket would never read the answer.
  socket.resume();
  const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * Reports the error to the agent and closes with 1008, policy violation (RFC 6455 section 7.4.1).
 * @param protocol the newest version that the agent is known to understand
 */
export function refuse(socket: WebSocket, error: unknown, protocol: number): void {
  if (socket.readyState !== socket.OPEN) return;
  const { code, message } = toErrorReport(error);
  const told = code === 'ORK_INTERNAL' ? 'Something went wrong in the hub; see its log.' : message;
  const refusal: HubMessage = { type: 'error', code, message: told.slice(0, 2000) };
  socket.send(JSON.stringify(inVersion(refusal, protocol)));
  closeSoon(socket, 1008, code);
}
