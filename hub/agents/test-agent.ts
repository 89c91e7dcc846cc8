/** For tests: an agent whose messages are all scripted. */
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { WebSocket } from 'ws';
import {
  AGENT_LINK_PATH,
  type AgentMessage,
  helloProof,
  type HostStatus,
  HubMessage,
  type Report,
  welcomeProof,
} from '../../protocol/agent-link.ts';
import type { Job } from '../../protocol/job.ts';
import { isSignedBy, type KeyPairPem, openJob, signText } from '../../protocol/signing.ts';
import { OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { AT, exampleRelease } from '../test-release.ts';

/** Timeout that means failure, ms: far beyond what a loaded machine needs. */
const NEVER_MS = 60_000;

const IDLE: HostStatus = {
  agentVersion: '0.1.0',
  engine: { reachable: true, version: '28', liveRestore: true },
  proxy: { reachable: true },
  cgroupVersion: '2',
  memory: { totalBytes: 1, availableBytes: 1 },
  disk: { totalBytes: 1, availableBytes: 1 },
  outbox: 0,
};

/** What an agent says about itself in its hello. */
export interface Introduction {
  readonly running?: readonly string[];
  readonly agentVersion?: string;
  readonly oldest?: number;
  /** The newest protocol that it speaks. */
  readonly protocol?: number;
}

/** A WebSocket client that sends what the test dictates and records what it receives. */
export class ScriptedAgent {
  readonly socket: WebSocket;
  readonly heard: HubMessage[] = [];
  readonly closed: Promise<number>;
  readonly #hubKey: string;
  #taken = 0;
  #acknowledged = 0;
  #sequence = 0;

  constructor(url: string, hubPublicKey: string) {
    this.#hubKey = hubPublicKey;
    this.socket = new WebSocket(url.replace('http', 'ws') + AGENT_LINK_PATH);
    this.socket.on('error', () => undefined); // seen as a close
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
    this.socket.on('message', (data: Buffer) => {
      const message = HubMessage.parse(JSON.parse(data.toString('utf8')));
      if (message.type === 'ack') this.#acknowledged = message.sequence;
      this.heard.push(message);
    });
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  async shakeHands(
    hostId: string,
    key: KeyPairPem,
    { running = [], agentVersion = '0.1.0', oldest = OLDEST_PROTOCOL, protocol = PROTOCOL_VERSION }: Introduction = {},
  ): Promise<void> {
    const { nonce } = await this.next('challenge');
    const own = randomBytes(32).toString('base64url');
    this.say({
      type: 'hello',
      protocol: oldest,
      newest: protocol,
      hostId,
      agentVersion,
      nonce: own,
      signature: signText(helloProof(nonce, hostId, own), key.privateKey),
      running: [...running],
    });
    const welcome = await this.next('welcome');
    if (!isSignedBy(welcomeProof(own, welcome.sessionId), welcome.signature, this.#hubKey)) {
      throw new Error('the hub did not prove its key');
    }
    this.#acknowledged = welcome.acknowledged;
    this.#sequence = welcome.acknowledged;
  }

  say(message: AgentMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends a report with the next number and waits until the hub has stored it. */
  async report(report: Report): Promise<void> {
    this.#sequence += 1;
    this.say({ type: 'report', sequence: this.#sequence, report });
    await this.stored(this.#sequence);
  }

  /** Sends a heartbeat with these facts and waits until the hub has stored it. */
  async beat(facts: Partial<HostStatus> = {}): Promise<void> {
    this.say({ type: 'status', status: { ...IDLE, ...facts } });
    // The hub does not answer a heartbeat, but takes messages in order, and acknowledges a report of any deployment.
    await this.report({ kind: 'log', deploymentId: randomUUIDv7(), step: 'clone', offset: 0, data: '' });
  }

  async stored(sequence: number): Promise<void> {
    while (this.#acknowledged < sequence) await this.#more();
  }

  /** The next message of that type that no earlier call has returned; skips other types. */
  async next<T extends HubMessage['type']>(type: T): Promise<Extract<HubMessage, { type: T }>> {
    for (;;) {
      while (this.#taken < this.heard.length) {
        const message = this.heard[this.#taken];
        this.#taken += 1;
        if (message?.type === type) return message as Extract<HubMessage, { type: T }>;
      }
      await this.#more();
    }
  }

  async job(): Promise<Job> {
    return openJob((await this.next('job')).envelope, this.#hubKey);
  }

  /** All jobs received so far, in order. */
  get jobs(): Job[] {
    return this.heard.flatMap((message) => (message.type === 'job' ? [openJob(message.envelope, this.#hubKey)] : []));
  }

  /** Reports a successful deployment from start to end. */
  async live(job: Job, release = exampleRelease(job.deploymentId)): Promise<void> {
    const { deploymentId, generation } = job;
    await this.report({ kind: 'deployment', deploymentId, generation, status: 'running', at: AT });
    await this.report({ kind: 'deployment', deploymentId, generation, status: 'live', at: AT, release });
  }

  async end(job: Job, status: 'failed' | 'cancelled' | 'superseded'): Promise<void> {
    const { deploymentId, generation } = job;
    await this.report({ kind: 'deployment', deploymentId, generation, status, at: AT });
  }

  async leave(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  async #more(): Promise<void> {
    const heard = this.heard.length;
    const message = new Promise<void>((resolve, reject) => {
      const never = setTimeout(() => reject(new Error('the hub said nothing more')), NEVER_MS);
      void this.closed.then(() => clearTimeout(never));
      this.socket.once('message', () => {
        clearTimeout(never);
        resolve();
      });
    });
    const closed = this.closed.then((code) => {
      if (this.heard.length === heard) throw new Error(`the hub closed the connection (${code})`);
    });
    await Promise.race([message, closed]);
  }
}
