/** The hub's end of the agent link: takes WebSocket upgrades, proves both sides, and hands the host to the scheduler. */
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import {
  type AgentMessage,
  helloProof,
  MAX_FRAME_BYTES,
  welcomeProof,
  type HubMessage,
} from '../../protocol/agent-link.ts';
import { blockListOf, contains } from '../../protocol/address-kind.ts';
import { canonicalAddress, clientNetwork } from '../../protocol/client-network.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { isSignedBy, signText } from '../../protocol/signing.ts';
import { agreeWithAgent, OLDEST_PROTOCOL, spokenBy } from '../../protocol/versions.ts';
import type { Agents, CoreDeps, News, Peer, Scheduler, Upgrades } from '../deps.ts';
import { findHostById } from '../store/hosts.ts';
import type { Row } from '../store/schema.ts';
import { readAgentMessage } from './frames.ts';
import { Intake } from './intake.ts';
import { closeSoon, HostSession, refuse } from './session.ts';
import { CLOSE_REVOKED, type Sessions } from './sessions.ts';

interface AgentDeps extends CoreDeps {
  readonly sessions: Sessions;
  readonly news: News;
  readonly scheduler: Scheduler;
  readonly upgrades: Upgrades;
}

export interface AgentTiming {
  /** Between two pings, ms. */
  readonly heartbeatMs: number;
  /** From the upgrade to a valid hello, ms. */
  readonly handshakeMs: number;
}

const TIMING: AgentTiming = { heartbeatMs: 15_000, handshakeMs: 10_000 };
/** Connections that have not proved who they are, in all and of one client: a new one takes the place of the oldest. */
const MOST_UNPROVEN = 64;
const MOST_OF_CLIENT = 32;
/** Close code for going away, RFC 6455 section 7.4.1. */
const CLOSE_GOING_AWAY = 1001;

type Hello = Extract<AgentMessage, { type: 'hello' }>;

export function makeAgents(deps: AgentDeps, timing: AgentTiming = TIMING): Agents {
  const { sessions, scheduler, log } = deps;
  const trusted = blockListOf(deps.config.trusted);
  const intake = new Intake();
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES, perMessageDeflate: false });
  /** With the client that each came from, oldest first. */
  const unproven = new Map<WebSocket, string>();

  function accept(socket: WebSocket, request: IncomingMessage): void {
    // ws closes a connection by itself when a frame is malformed or too large; without a listener it would throw.
    socket.on('error', (error) => log.info({ err: error }, 'agent connection'));
    const client = clientOf(request, trusted);
    makeRoom(client);
    unproven.set(socket, client);
    const deadline = setTimeout(() => socket.terminate(), timing.handshakeMs);
    socket.once('close', () => {
      clearTimeout(deadline);
      unproven.delete(socket);
    });
    const nonce = randomBytes(32).toString('base64url');
    socket.once('message', (data: Buffer, isBinary: boolean) => {
      clearTimeout(deadline);
      unproven.delete(socket);
      socket.pause(); // nothing more is read until the host is known
      greet(socket, nonce, data, isBinary);
    });
    send(socket, { type: 'challenge', nonce });
  }

  /** An agent has proved itself in a moment, so the oldest is the least likely to be one. */
  function makeRoom(client: string): void {
    const neighbours = [...unproven].filter(([, other]) => other === client);
    const crowd = neighbours.length >= MOST_OF_CLIENT ? neighbours : [...unproven];
    if (crowd === neighbours || crowd.length >= MOST_UNPROVEN) evict(crowd[0]?.[0]);
  }

  function evict(socket: WebSocket | undefined): void {
    if (socket === undefined) return;
    unproven.delete(socket);
    socket.terminate();
  }

  function greet(socket: WebSocket, nonce: string, data: Buffer, isBinary: boolean): void {
    const refused = (error: unknown, protocol: number): void => {
      log.warn({ err: error }, 'an agent was refused');
      refuse(socket, error, protocol);
    };
    let hello: Hello;
    try {
      hello = readHello(data, isBinary);
    } catch (error) {
      return refused(error, OLDEST_PROTOCOL);
    }
    shakeHands(socket, nonce, hello).catch((error: unknown) => refused(error, spokenBy(hello).newest));
  }

  async function shakeHands(socket: WebSocket, nonce: string, hello: Hello): Promise<void> {
    const host = await provenHost(nonce, hello);
    const peer = { agentVersion: hello.agentVersion, protocol: agree(host, hello), since: deps.clock.now() };
    await scheduler.hostReturns(host.id, hello.running);
    // Revoked or gone in the meantime: `disconnect` could not know of this connection.
    if ((await findHostById(deps.db, host.id))?.public_key !== host.public_key) throw unknownHost();
    if (socket.readyState !== socket.OPEN) return;
    open(socket, host, peer, hello.nonce);
    await scheduler.hostConnected(host.id, hello.running);
    await deps.upgrades.hostConnected(host.id);
  }

  async function provenHost(nonce: string, hello: Hello): Promise<Row<'host'>> {
    const host = await findHostById(deps.db, hello.hostId);
    const proof = helloProof(nonce, hello.hostId, hello.nonce);
    if (host?.public_key == null || !isSignedBy(proof, hello.signature, host.public_key)) throw unknownHost();
    return host;
  }

  /** After the proof, so that a stranger's version is not shown as that of the host. */
  function agree(host: Row<'host'>, hello: Hello): number {
    try {
      return agreeWithAgent(spokenBy(hello));
    } catch (error) {
      sessions.refused(host.id, toErrorReport(error));
      throw error;
    }
  }

  function open(socket: WebSocket, host: Row<'host'>, peer: Peer, agentNonce: string): void {
    const session = new HostSession(socket, { id: host.id, peer }, { ...deps, intake }, timing.heartbeatMs);
    const sessionId = randomUUIDv7();
    session.send({
      type: 'welcome',
      protocol: peer.protocol,
      sessionId,
      acknowledged: host.acknowledged,
      heartbeatSeconds: Math.max(1, timing.heartbeatMs / 1000),
      signature: signText(welcomeProof(agentNonce, sessionId), deps.hubKey.privateKey),
    });
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

  return {
    isOnline: (hostId) => sessions.isOnline(hostId),
    peer: (hostId) => sessions.peer(hostId),
    refusal: (hostId) => sessions.refusal(hostId),
    send: (hostId, message) => sessions.send(hostId, message),
    readAppLog: (hostId, request) => sessions.readAppLog(hostId, request),
    disconnect: (hostId) => sessions.disconnect(hostId, CLOSE_REVOKED, 'this host is not enrolled any more'),
    upgrade: (request, socket, head) => server.handleUpgrade(request, socket, head, accept),
    async stop() {
      const open = [...server.clients].map(async (socket) => {
        // Not by `once` of node:events: that rejects when a bad frame comes first, and a close follows all the same.
        const closed = new Promise((resolve) => socket.once('close', resolve));
        closeSoon(socket, CLOSE_GOING_AWAY, 'the hub stops');
        await closed;
      });
      server.close();
      await Promise.all(open);
    },
  };
}

/** Whoever is trusted has added whom it speaks for at the end; that one may be trusted again, and speak for another. */
function clientOf({ socket, headers }: IncomingMessage, trusted: BlockList): string {
  const named = String(headers['x-forwarded-for'] ?? '').split(',');
  let client = canonicalAddress(socket.remoteAddress ?? '');
  while (client !== null && contains(trusted, client)) {
    const before = canonicalAddress(named.pop()?.trim() ?? '');
    if (before === null) break;
    client = before;
  }
  return clientNetwork(client ?? '');
}

/** @throws OrkestrError ORK_PROTOCOL */
function readHello(data: Buffer, isBinary: boolean): Hello {
  const message = readAgentMessage(data, isBinary);
  if (message.type === 'hello') return message;
  throw new OrkestrError('ORK_PROTOCOL', 'The first message must be a hello.');
}

const unknownHost = (): OrkestrError =>
  new OrkestrError('ORK_SIGNATURE', 'This hub knows no host with this id and key.');

const send = (socket: WebSocket, message: HubMessage): void => socket.send(JSON.stringify(message));
