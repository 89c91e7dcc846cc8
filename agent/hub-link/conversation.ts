/** The messages of one connection: the handshake first, then the agent's reports and the hub's orders. */
import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import type { AgentMessage, HostStatus, HubMessage, UpgradeOrder } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { SignedJob } from '../../protocol/job.ts';
import { inVersion, OLDEST_PROTOCOL } from '../../protocol/versions.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { makeAppLogReads } from './app-logs.ts';
import type { AppLogReads, AppLogSource } from './app-logs.ts';
import type { HostEdge } from './edge.ts';
import type { Credentials, Handshake, Welcome } from './handshake.ts';
import { makeHandshake } from './handshake.ts';
import { readHubMessage } from './hub-message.ts';
import { makeLeases } from './lease.ts';
import type { Leases } from './lease.ts';
import { startSender } from './outbox.ts';
import type { OutboxSender, OutboxStore, ReadLog } from './outbox.ts';
import type { LinkTiming } from './timing.ts';
import type { HostUpgrades } from './upgrades.ts';

/** Most unacknowledged reports in flight. With full log chunks that is less than 4 MiB. */
const WINDOW = 32;

/** The hub's orders. A handler that throws drops the connection, not the process. */
interface HubOrders {
  job(envelope: SignedJob): void;
  cancel(deploymentId: string): void;
  upgrade(order: UpgradeOrder): void;
  edge(envelope: SignedJob): void;
}

export interface ConversationOptions {
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

export class Conversation {
  readonly #options: ConversationOptions;
  readonly #socket: WebSocket;
  readonly #end: (error: Error) => void;
  readonly #onWelcome: (protocol: number) => void;
  readonly #handshake: Handshake;
  readonly #leases: Leases;
  readonly #appLogs: AppLogReads;
  readonly #openedAt: number;
  #heardAt: number;
  #statusAt = -Infinity;
  /** Null until the hub has proved its key. */
  #welcome: Welcome | null = null;
  #sender: OutboxSender | null = null;

  /**
   * @param end ends the connection; its first error is the reason
   * @param onWelcome called once, after the handshake
   */
  constructor(
    options: ConversationOptions,
    socket: WebSocket,
    end: (error: Error) => void,
    onWelcome: (protocol: number) => void,
  ) {
    const { credentials, agentVersion, running, monotonic } = options;
    this.#options = options;
    this.#socket = socket;
    this.#end = end;
    this.#onWelcome = onWelcome;
    this.#handshake = makeHandshake(credentials, agentVersion, running);
    this.#leases = makeLeases(running, monotonic);
    this.#appLogs = makeAppLogReads(
      options.appLogs,
      (message) => new Promise<void>((resolve) => this.#send(message, resolve)),
    );
    this.#openedAt = monotonic();
    this.#heardAt = this.#openedAt;
  }

  take(data: RawData, isBinary: boolean): void {
    this.heard();
    try {
      const message = readHubMessage(data, isBinary);
      if (this.#welcome) this.#carryOut(message);
      else this.#shakeHands(message);
    } catch (error) {
      // Whatever the other side sent: this connection ends, the process lives on and dials again.
      this.#end(error as Error);
    }
  }

  /** Something came from the hub: a message, a ping or a pong. */
  heard(): void {
    this.#heardAt = this.#options.monotonic();
    if (this.#welcome) this.#options.heard();
  }

  /** Called regularly: pings, detects silence, renews leases, sends the host's status. */
  watch(): void {
    const now = this.#options.monotonic();
    const fault = this.#faultAt(now);
    if (fault !== null) return this.#end(new Error(fault));
    if (!this.#welcome) return;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
    this.#renewLeases();
    if (now - this.#statusAt < this.#welcome.heartbeatSeconds * 1000) return;
    this.#statusAt = now;
    void this.#reportStatus();
  }

  /** The connection has ended. */
  stop(): void {
    this.#sender?.stop();
    this.#appLogs.stop();
    if (!this.#welcome) return;
    this.#options.upgrades.onChanged(null);
    this.#options.edge.onNews(null);
  }

  #shakeHands(message: HubMessage): void {
    const step = this.#handshake.take(message);
    if ('hello' in step) this.#send(step.hello);
    else this.#begin(step.welcome);
  }

  /** Each side has proved its key. */
  #begin(welcome: Welcome): void {
    const { outbox: store, readLog, upgrades, edge, monotonic, log } = this.#options;
    const send = (message: AgentMessage): void => this.#send(message);
    this.#welcome = welcome;
    this.#sender = startSender(
      { store, readLog, send, failed: this.#end, monotonic, window: WINDOW, log },
      welcome.acknowledged,
    );
    this.#onWelcome(welcome.protocol);
    // Sent once the hub listens: a change in between is then reported twice rather than never.
    upgrades.onChanged(() => this.#reportUpgrade());
    this.#reportUpgrade();
    edge.onNews(send);
    this.watch();
  }

  #carryOut(message: HubMessage): void {
    const { orders, log } = this.#options;
    switch (message.type) {
      case 'job':
        this.#leases.granted(message.leaseSeconds);
        return orders.job(message.envelope);
      case 'lease':
        return this.#leases.granted(message.leaseSeconds);
      case 'cancel':
        return orders.cancel(message.deploymentId);
      case 'upgrade':
        return orders.upgrade(message);
      case 'edge':
        return orders.edge(message.envelope);
      case 'app-log':
        return this.#appLogs.order(message);
      case 'app-log-credit':
        return this.#appLogs.credit(message);
      case 'app-log-close':
        return this.#appLogs.close(message);
      case 'ack':
        return this.#sender?.acknowledged(message.sequence);
      case 'error':
        return log.warn({ code: message.code, message: message.message }, 'the hub reports an error');
      case 'challenge':
      case 'welcome':
        throw new OrkestrError('ORK_PROTOCOL', `The hub sent ${message.type} after the handshake.`);
    }
  }

  /** Why the connection is of no use any more; null: it is. */
  #faultAt(now: number): string | null {
    const { handshakeMs, deadMs } = this.#options.timing;
    if (!this.#welcome) return now - this.#openedAt > handshakeMs ? 'the hub did not finish the handshake' : null;
    if (now - this.#heardAt > deadMs) return `nothing was heard for ${deadMs} ms`;
    const waitingSince = this.#sender?.waitingSince() ?? now;
    return now - waitingSince > deadMs ? 'a report was never acknowledged' : null;
  }

  #renewLeases(): void {
    try {
      const due = this.#leases.due();
      if (due) this.#send({ type: 'renew', deploymentIds: [...due] });
    } catch (error) {
      this.#end(error as Error); // the journal cannot be read: the next connection tries again
    }
  }

  async #reportStatus(): Promise<void> {
    try {
      this.#send({ type: 'status', status: await this.#options.status() });
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the status of the host could not be reported');
    }
  }

  #reportUpgrade(): void {
    const news = this.#options.upgrades.news();
    if (news) this.#send(news);
  }

  /** Calls `gone` once the message has left or cannot be sent any more. */
  #send(message: AgentMessage, gone?: () => void): void {
    const said = inVersion(message, this.#welcome?.protocol ?? OLDEST_PROTOCOL);
    if (said && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(said), () => gone?.());
    else gone?.();
  }
}
