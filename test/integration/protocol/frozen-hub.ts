/**
 * A hub of an earlier version, frozen as its recorded conversation. It plays the hub's lines to a current agent, signed
 * with its own key, and throws on everything that it did not know.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { isSignedBy, makeKeyPair, signText } from '../../../protocol/signing.ts';
import { makeWaiting, readConversation, TIME_THAT_PASSES_MS } from './conversation.ts';
import type { Frame, Line } from './conversation.ts';
import type { LinkAgent } from './link-agent.ts';
import { helloText, jobText, welcomeText } from './proofs.ts';
import { readerOf } from './schemas.ts';

/** Frames that an agent sends by its own clock, or split as it likes: they may arrive at any time. */
const AT_ANY_TIME: readonly unknown[] = ['status', 'renew', 'log'];

/** What is done to the agent that it talks to. */
type PlayedAgent = Pick<LinkAgent, 'pass' | 'replace'>;

type Report = Record<'deploymentId' | 'kind' | 'step' | 'status' | 'data', string>;
const reportOf = (frame: Frame): Report | undefined => frame.report as Report | undefined;
const isAtAnyTime = (frame: Frame): boolean => AT_ANY_TIME.includes(reportOf(frame)?.kind ?? frame.type);

/** The content of a frame, without times and numbers. */
function gistOf(frame: Frame): string {
  const report = reportOf(frame);
  if (report === undefined) return [frame.type, frame.state].filter(Boolean).join(' ');
  return [frame.type, report.kind, report.deploymentId, report.step, report.status].filter(Boolean).join(' ');
}

const payloadOf = (job: Frame): string => (job.envelope as { payload: string }).payload;
const jobOf = (job: Frame): { deploymentId: string } => JSON.parse(payloadOf(job)) as { deploymentId: string };

export class FrozenHub {
  readonly joinToken = 'orj_frozen';
  readonly #key = makeKeyPair();
  readonly #version: number;
  readonly #lines: readonly Line[];
  readonly #read: Record<'AgentMessage' | 'EnrolRequest', (value: unknown) => void>;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #waiting = makeWaiting();
  /** Log bytes by deployment and step. */
  readonly #logs = new Map<string, Buffer[]>();
  #heard: Frame[] = [];
  #renewals = 0;
  #sequence = 0;
  #hostKey = '';
  #challenge: unknown;
  #hello: Frame | undefined;
  #socket: WebSocket | undefined;
  #connections = 0;
  #failure: Error | undefined;

  constructor(version: number) {
    this.#version = version;
    this.#lines = readConversation(version);
    this.#read = {
      AgentMessage: readerOf(version, 'AgentMessage'),
      EnrolRequest: readerOf(version, 'EnrolRequest'),
    };
    this.#server = createServer((request, response) => void this.#enrol(request, response));
    this.#sockets = new WebSocketServer({ server: this.#server });
    this.#sockets.on('connection', (socket) => this.#connected(socket));
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Plays the conversation to the agent that has joined. */
  async play(agent: PlayedAgent): Promise<void> {
    for (const line of this.#lines) {
      if ('connection' in line) await this.#until('a connection', () => this.#connections === line.connection);
      if ('agent' in line) await this.#hear(line.agent);
      if ('hub' in line) await this.#say(line.hub);
      if (!('act' in line)) continue;
      if (line.act === 'cut') this.#socket?.terminate();
      if (line.act === 'time') agent.pass(TIME_THAT_PASSES_MS);
      if (line.act === 'replace') await agent.replace();
    }
    assert.deepEqual(this.#heard.map(gistOf), [], 'The agent said more than it once did.');
  }

  /** The jobs of the conversation, in order. */
  jobs(): { readonly deploymentId: string }[] {
    return this.#lines.flatMap((line) => ('hub' in line && line.hub.type === 'job' ? [jobOf(line.hub)] : []));
  }

  logOf(deploymentId: string, step: string): Buffer {
    return Buffer.concat(this.#logs.get(`${deploymentId} ${step}`) ?? []);
  }

  async close(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #enrol(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const enrol = JSON.parse(await text(request)) as { joinToken: string; publicKey: string };
    this.#read.EnrolRequest(enrol);
    assert.equal(enrol.joinToken, this.joinToken);
    this.#hostKey = enrol.publicKey;
    const recorded = this.#lines.find((line) => 'enrol' in line);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...(recorded?.answer as object), hubPublicKey: this.#key.publicKey }));
  }

  #connected(socket: WebSocket): void {
    this.#connections += 1;
    this.#socket = socket;
    socket.on('error', () => undefined); // reported as a close
    socket.on('message', (data: Buffer) => {
      try {
        this.#take(JSON.parse(data.toString('utf8')) as Frame);
      } catch (error) {
        this.#failure ??= error as Error;
      }
      this.#waiting.look();
    });
    this.#waiting.look();
  }

  #take(frame: Frame): void {
    this.#read.AgentMessage(frame);
    if (frame.type === 'renew') this.#renewals += 1;
    const report = reportOf(frame);
    if (report) this.#store(frame.sequence as number, report);
    if (!isAtAnyTime(frame)) this.#heard.push(frame);
  }

  /** Stores reports in order, as a hub does. A repeated report is acknowledged again but not counted again. */
  #store(sequence: number, report: Report): void {
    assert.ok(sequence <= this.#sequence + 1, `Report ${sequence} came after ${this.#sequence}.`);
    if (sequence > this.#sequence && report.kind === 'log') {
      const key = `${report.deploymentId} ${report.step}`;
      this.#logs.set(key, [...(this.#logs.get(key) ?? []), Buffer.from(report.data, 'base64')]);
    }
    this.#sequence = Math.max(this.#sequence, sequence);
    this.#socket?.send(JSON.stringify({ type: 'ack', sequence }));
  }

  async #hear(recorded: Frame): Promise<void> {
    if (isAtAnyTime(recorded)) return;
    await this.#until(gistOf(recorded), () => this.#heard.length > 0);
    const frame = this.#heard.shift();
    assert.equal(frame && gistOf(frame), gistOf(recorded));
    for (const key of Object.keys(recorded))
      assert.ok(frame && key in frame, `The agent does not say ${key} any more.`);
    if (frame?.type !== 'hello') return;
    // A hub of this version compares exactly this field.
    assert.equal(frame.protocol, this.#version);
    assert.deepEqual(frame.running, recorded.running);
    this.#hello = frame;
  }

  async #say(recorded: Frame): Promise<void> {
    if (recorded.type === 'ack') return; // each report has been acknowledged already
    if (recorded.type === 'lease') await this.#until('a renewal', () => this.#renewals > 0);
    if (recorded.type === 'challenge') this.#challenge = recorded.nonce;
    this.#socket?.send(JSON.stringify(this.#signed(recorded)));
  }

  #signed(recorded: Frame): Frame {
    if (recorded.type === 'job') {
      const payload = payloadOf(recorded);
      return {
        ...recorded,
        envelope: { payload, signature: signText(jobText(payload), this.#key.privateKey) },
      };
    }
    if (recorded.type !== 'welcome') return recorded;
    const { hostId, nonce, signature }: Partial<Frame> = this.#hello ?? {};
    const proof = helloText(this.#challenge, hostId, nonce);
    assert.ok(isSignedBy(proof, String(signature), this.#hostKey), 'The agent did not prove its key.');
    const { sessionId } = recorded;
    const own = signText(welcomeText(nonce, sessionId), this.#key.privateKey);
    return { ...recorded, signature: own, acknowledged: this.#sequence };
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    await this.#waiting.until(what, () => this.#failure !== undefined || holds());
    if (this.#failure) throw this.#failure;
  }
}
