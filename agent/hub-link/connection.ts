/** One WebSocket to the hub, from dialling to its end. Silence reveals a half-open connection. */
import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import type { AgentMessage, HostStatus, UpgradeOrder } from '../../protocol/agent-link.ts';
import { AGENT_LINK_PATH, CLOSE_REPLACED, HubMessage, MAX_FRAME_BYTES } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { SignedJob } from '../../protocol/job.ts';
import { inVersion, OLDEST_PROTOCOL } from '../../protocol/versions.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { makeAppLogReads } from './app-logs.ts';
import type { AppLogSource } from './app-logs.ts';
import type { Credentials, Welcome } from './handshake.ts';
import { makeHandshake } from './handshake.ts';
import { makeLeases } from './lease.ts';
import { startSender } from './outbox.ts';
import type { OutboxSender, OutboxStore, ReadLog } from './outbox.ts';
import type { HostEdge } from './edge.ts';
import type { HostUpgrades } from './upgrades.ts';

export interface LinkTiming {
  /** From dialling to the hub's proof. */
  readonly handshakeMs: number;
  readonly pingMs: number;
  /** Silence after which the other side counts as gone; also the limit for the acknowledgement of a report. */
  readonly deadMs: number;
}

export const DEFAULT_TIMING: LinkTiming = { handshakeMs: 10_000, pingMs: 10_000, deadMs: 30_000 };

/** Most unacknowledged reports in flight. With full log chunks that is less than 4 MiB. */
const WINDOW = 32;

/** The hub's orders. A handler that throws drops the connection, not the process. */
interface HubOrders {
  job(envelope: SignedJob): void;
  cancel(deploymentId: string): void;
  upgrade(order: UpgradeOrder): void;
  edge(envelope: SignedJob): void;
}

export interface ConnectionOptions {
  readonly hubUrl: string;
  readonly credentials: Credentials;
  readonly agentVersion: string;
  readonly outbox: OutboxStore;
  readonly readLog: ReadLog;
  /** Deployments accepted and not ended. */
  readonly running: () => readonly string[];
  readonly status: () => Promise<HostStatus>;
  readonly orders: HubOrders;
  readonly upgrades: HostUpgrades;
  readonly edge: HostEdge;
  readonly appLogs: AppLogSource;
  readonly timing: LinkTiming;
  readonly monotonic: () => number;
  /** Called for everything received from a hub that has proved its key. */
  readonly heard: () => void;
  readonly log: Logger;
}

/**
 * Connects and stays until the connection ends or `signal` aborts.
 * @returns why it ended; never throws
 */
export function connection(
  options: ConnectionOptions,
  signal: AbortSignal,
  onWelcome: (protocol: number) => void,
): Promise<Error> {
  return new Promise((resolve) => {
    const socket = new WebSocket(linkUrl(options.hubUrl), {
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      handshakeTimeout: options.timing.handshakeMs,
    });
    let reason: Error | null = null;
    const end = (error: Error): void => {
      reason ??= error;
      socket.terminate();
    };
    const talk = makeTalk(options, socket, end, onWelcome);
    const abort = (): void => end(new Error('the agent stops'));
    signal.addEventListener('abort', abort, { once: true });
    const watch = setInterval(talk.watch, Math.min(options.timing.pingMs, options.timing.deadMs / 3));

    socket.on('message', (data, isBinary) => talk.message(data, isBinary));
    socket.on('ping', talk.heard);
    socket.on('pong', talk.heard);
    socket.on('error', end);
    socket.on('close', (code, text) => {
      clearInterval(watch);
      signal.removeEventListener('abort', abort);
      talk.stop();
      resolve(reason ?? closedByHub(code, String(text)));
    });
    if (signal.aborted) abort();
  });
}

/** The agent has one connection at a time, so a newer one for its host comes from another machine. */
const closedByHub = (code: number, text: string): Error =>
  code === CLOSE_REPLACED
    ? new OrkestrError('ORK_HOST_TWICE', 'Another machine has connected to the hub with the identity of this host.')
    : new Error(`the hub closed the connection (${code}${text === '' ? '' : `, ${text}`})`);

/** The URL of the hub's agent socket. */
export function linkUrl(hubUrl: string): URL {
  const url = new URL(AGENT_LINK_PATH, hubUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

interface Talk {
  message(data: RawData, isBinary: boolean): void;
  heard(this: void): void;
  /** Called regularly: pings, detects silence, renews leases, sends the host's status. */
  watch(this: void): void;
  stop(): void;
}

function makeTalk(
  options: ConnectionOptions,
  socket: WebSocket,
  end: (error: Error) => void,
  onWelcome: (protocol: number) => void,
): Talk {
  const { timing, monotonic, log } = options;
  const handshake = makeHandshake(options.credentials, options.agentVersion, options.running);
  const leases = makeLeases(options.running, monotonic);
  const openedAt = monotonic();
  let heardAt = openedAt;
  let welcome: Welcome | null = null;
  let sender: OutboxSender | null = null;
  let statusAt = -Infinity;

  /** Calls `gone` once the message has left or cannot be sent any more. */
  const send = (message: AgentMessage, gone?: () => void): void => {
    const said = inVersion(message, welcome?.protocol ?? OLDEST_PROTOCOL);
    if (said && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(said), () => gone?.());
    else gone?.();
  };
  const appLogs = makeAppLogReads(options.appLogs, (message) => new Promise<void>((resolve) => send(message, resolve)));
  const tellStatus = async (): Promise<void> => {
    try {
      send({ type: 'status', status: await options.status() });
    } catch (error) {
      log.warn({ err: error }, 'the status of the host could not be told');
    }
  };
  const tellUpgrade = (): void => {
    const news = options.upgrades.news();
    if (news) send(news);
  };
  const greet = (message: HubMessage): void => {
    const step = handshake.take(message);
    if ('hello' in step) return send(step.hello);
    welcome = step.welcome;
    sender = startSender(
      { store: options.outbox, readLog: options.readLog, send, failed: end, monotonic, window: WINDOW, log },
      welcome.acknowledged,
    );
    onWelcome(welcome.protocol);
    // Sent once the hub listens: a change in between is then reported twice rather than never.
    options.upgrades.onChanged(tellUpgrade);
    tellUpgrade();
    options.edge.onNews(send);
    watch();
  };
  const obey = (message: HubMessage): void => {
    switch (message.type) {
      case 'job':
        leases.granted(message.leaseSeconds);
        return options.orders.job(message.envelope);
      case 'lease':
        return leases.granted(message.leaseSeconds);
      case 'cancel':
        return options.orders.cancel(message.deploymentId);
      case 'upgrade':
        return options.orders.upgrade(message);
      case 'edge':
        return options.orders.edge(message.envelope);
      case 'app-log':
        return appLogs.order(message);
      case 'app-log-credit':
        return appLogs.credit(message);
      case 'app-log-close':
        return appLogs.close(message);
      case 'ack':
        return sender?.acknowledged(message.sequence);
      case 'error':
        return log.warn({ code: message.code, message: message.message }, 'the hub reports an error');
      case 'challenge':
      case 'welcome':
        throw new OrkestrError('ORK_PROTOCOL', `The hub sent ${message.type} after the handshake.`);
    }
  };
  const dueLeases = (): readonly string[] | null => {
    try {
      return leases.due();
    } catch (error) {
      end(error as Error); // the journal cannot be read: the next connection tries again
      return null;
    }
  };
  const watch = (): void => {
    const now = monotonic();
    if (!welcome) {
      if (now - openedAt > timing.handshakeMs) end(new Error('the hub did not finish the handshake'));
      return;
    }
    if (now - heardAt > timing.deadMs) return end(new Error(`nothing was heard for ${timing.deadMs} ms`));
    const waiting = sender?.waitingSince() ?? null;
    if (waiting !== null && now - waiting > timing.deadMs) return end(new Error('a report was never acknowledged'));
    if (socket.readyState === WebSocket.OPEN) socket.ping();
    const due = dueLeases();
    if (due) send({ type: 'renew', deploymentIds: [...due] });
    if (now - statusAt >= welcome.heartbeatSeconds * 1000) {
      statusAt = now;
      void tellStatus();
    }
  };

  const heard = (): void => {
    heardAt = monotonic();
    if (welcome) options.heard();
  };

  return {
    message(data, isBinary) {
      heard();
      try {
        const message = readMessage(data, isBinary);
        if (welcome) obey(message);
        else greet(message);
      } catch (error) {
        // Whatever the other side sent: this connection ends, the process lives on and dials again.
        end(error as Error);
      }
    },
    heard,
    watch,
    stop() {
      sender?.stop();
      appLogs.stop();
      if (!welcome) return;
      options.upgrades.onChanged(null);
      options.edge.onNews(null);
    },
  };
}

/** @throws OrkestrError ORK_PROTOCOL for anything that is not a message of this protocol */
function readMessage(data: RawData, isBinary: boolean): HubMessage {
  const text = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
  let body: unknown;
  try {
    if (isBinary) throw new Error('binary frame');
    body = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new OrkestrError('ORK_PROTOCOL', 'The hub sent a frame that is not JSON text.', { cause });
  }
  const message = HubMessage.safeParse(body);
  if (message.success) return message.data;
  const where = message.error.issues[0];
  throw new OrkestrError(
    'ORK_PROTOCOL',
    `The hub sent a message that this version does not understand: ${where?.path.join('.') ?? ''} ${where?.message ?? ''}`,
  );
}
