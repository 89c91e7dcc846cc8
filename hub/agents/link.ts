/**
 * The hub's end of the agent link: accepts WebSocket upgrades, authenticates both sides, and hands the host to the
 * scheduler.
 */
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { type HubMessage, MAX_FRAME_BYTES, welcomeProof } from '../../protocol/agent-link.ts';
import { blockListOf } from '../../protocol/address-kind.ts';
import type { AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import { type ErrorReport, toErrorReport } from '../../protocol/errors.ts';
import { signText } from '../../protocol/signing.ts';
import { agreeWithAgent, OLDEST_PROTOCOL, spokenBy } from '../../protocol/versions.ts';
import type { Agents, CoreDeps, News, Peer, Scheduler, Upgrades } from '../deps.ts';
import type { Row } from '../store/schema.ts';
import { checkStillEnrolled, type Hello, provenHost, readHello } from './handshake.ts';
import { Intake } from './intake.ts';
import { closeSoon, HostSession, refuse } from './session.ts';
import { CLOSE_REVOKED, type Sessions } from './sessions.ts';
import { UnprovenConnections } from './unproven.ts';

interface AgentDeps extends CoreDeps {
  readonly sessions: Sessions;
  readonly news: News;
  readonly scheduler: Scheduler;
  readonly upgrades: Upgrades;
}

export interface AgentTiming {
  /** Ping interval, ms. */
  readonly heartbeatMs: number;
  /** Limit from the upgrade to a valid hello, ms. */
  readonly handshakeMs: number;
}

const TIMING: AgentTiming = { heartbeatMs: 15_000, handshakeMs: 10_000 };
/** Close code "going away", RFC 6455 section 7.4.1. */
const CLOSE_GOING_AWAY = 1001;

export class AgentServer implements Agents {
  readonly #deps: AgentDeps;
  readonly #timing: AgentTiming;
  readonly #intake = new Intake();
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES, perMessageDeflate: false });
  readonly #unproven: UnprovenConnections;

  constructor(deps: AgentDeps, timing: AgentTiming = TIMING) {
    this.#deps = deps;
    this.#timing = timing;
    this.#unproven = new UnprovenConnections(timing.handshakeMs, blockListOf(deps.config.trusted));
  }

  isOnline(hostId: string): boolean {
    return this.#deps.sessions.isOnline(hostId);
  }

  peer(hostId: string): Peer | undefined {
    return this.#deps.sessions.peer(hostId);
  }

  refusal(hostId: string): ErrorReport | undefined {
    return this.#deps.sessions.refusal(hostId);
  }

  send(hostId: string, message: HubMessage): boolean {
    return this.#deps.sessions.send(hostId, message);
  }

  readAppLog(hostId: string, request: AppLogRequest): AppLogRead {
    return this.#deps.sessions.readAppLog(hostId, request);
  }

  disconnect(hostId: string): void {
    this.#deps.sessions.disconnect(hostId, CLOSE_REVOKED, 'this host is not enrolled any more');
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (opened) => this.#accept(opened, request));
  }

  async stop(): Promise<void> {
    const open = [...this.#server.clients].map(async (socket) => {
      // Not `once` of node:events: it rejects on an error event, which a bad frame emits before the close.
      const closed = new Promise((resolve) => socket.once('close', resolve));
      closeSoon(socket, CLOSE_GOING_AWAY, 'the hub stops');
      await closed;
    });
    this.#server.close();
    await Promise.all(open);
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    // ws closes the connection on a malformed or too large frame. Without a listener its error event would throw.
    socket.on('error', (error) => this.#deps.log.info({ err: error }, 'agent connection'));
    this.#unproven.add(socket, request);
    const nonce = randomBytes(32).toString('base64url');
    socket.once('message', (data: Buffer, isBinary: boolean) => {
      this.#unproven.remove(socket);
      socket.pause(); // read nothing more until the host is authenticated
      this.#greet(socket, nonce, data, isBinary);
    });
    send(socket, { type: 'challenge', nonce });
  }

  #greet(socket: WebSocket, nonce: string, data: Buffer, isBinary: boolean): void {
    const refused = (error: unknown, protocol: number): void => {
      this.#deps.log.warn({ err: error }, 'an agent was refused');
      refuse(socket, error, protocol);
    };
    let hello: Hello;
    try {
      hello = readHello(data, isBinary);
    } catch (error) {
      return refused(error, OLDEST_PROTOCOL);
    }
    this.#shakeHands(socket, nonce, hello).catch((error: unknown) => refused(error, spokenBy(hello).newest));
  }

  async #shakeHands(socket: WebSocket, nonce: string, hello: Hello): Promise<void> {
    const { db, clock, scheduler, upgrades } = this.#deps;
    const host = await provenHost(db, nonce, hello);
    const peer = { agentVersion: hello.agentVersion, protocol: this.#agree(host, hello), since: clock.now() };
    await scheduler.hostReturns(host.id, hello.running);
    // A `disconnect` in the meantime could not close this connection, which was not registered yet.
    await checkStillEnrolled(db, host);
    if (socket.readyState !== socket.OPEN) return;
    this.#open(socket, host, peer, hello.nonce);
    await scheduler.hostConnected(host.id, hello.running);
    await upgrades.hostConnected(host.id);
  }

  /** After the proof of the key, so that a stranger cannot set the refusal shown for the host. */
  #agree(host: Row<'host'>, hello: Hello): number {
    try {
      return agreeWithAgent(spokenBy(hello));
    } catch (error) {
      this.#deps.sessions.refused(host.id, toErrorReport(error));
      throw error;
    }
  }

  #open(socket: WebSocket, host: Row<'host'>, peer: Peer, agentNonce: string): void {
    const { sessions, log } = this.#deps;
    const session = new HostSession(
      socket,
      { id: host.id, peer },
      { ...this.#deps, intake: this.#intake },
      this.#timing.heartbeatMs,
    );
    session.send(this.#welcome(host, peer, agentNonce));
    sessions.add(session);
    log.info({ hostId: host.id, ...peer }, 'host connected');
    socket.once('close', (code) => {
      sessions.remove(session);
      log.info({ hostId: host.id, code }, 'host disconnected');
    });
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (socket.readyState !== socket.OPEN) return;
      try {
        session.receive(data, isBinary);
      } catch (error) {
        log.warn({ err: error, hostId: host.id }, 'a frame of the host was refused');
        refuse(socket, error, peer.protocol);
      }
    });
    socket.resume();
  }

  #welcome(host: Row<'host'>, peer: Peer, agentNonce: string): HubMessage {
    const sessionId = randomUUIDv7();
    return {
      type: 'welcome',
      protocol: peer.protocol,
      sessionId,
      acknowledged: host.acknowledged,
      heartbeatSeconds: Math.max(1, this.#timing.heartbeatMs / 1000),
      signature: signText(welcomeProof(agentNonce, sessionId), this.#deps.hubKey.privateKey),
    };
  }
}

const send = (socket: WebSocket, message: HubMessage): void => socket.send(JSON.stringify(message));
