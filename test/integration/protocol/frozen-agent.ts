/**
 * An agent of an earlier version, frozen as its recorded conversation. It plays the agent's lines to a current hub,
 * with that hub's ids and its own signatures, and throws on everything that it did not know.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { isSignedBy, makeKeyPair, signText } from '../../../protocol/signing.ts';
import { makeWaiting, readConversation } from './conversation.ts';
import type { Act, Frame, Line } from './conversation.ts';
import { helloText, jobText, welcomeText } from './proofs.ts';
import { readerOf } from './schemas.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface FrozenAgentOptions {
  readonly hubUrl: string;
  readonly joinToken: string;
  /** Repeats at the hub what was done there when the conversation was recorded. */
  act(act: Act): Promise<void>;
}

/** Plays a whole conversation. @throws when the hub says anything that differs from the recording */
export async function playAgent(version: number, options: FrozenAgentOptions): Promise<void> {
  const agent = new FrozenAgent(version, options);
  try {
    for (const line of readConversation(version)) await agent.play(line);
    agent.finish();
  } finally {
    agent.leave();
  }
}

class FrozenAgent {
  readonly #options: FrozenAgentOptions;
  readonly #key = makeKeyPair();
  readonly #readHub: (frame: unknown) => void;
  readonly #readJob: (job: unknown) => void;
  /** Maps recorded ids to those of this hub. */
  readonly #ids = new Map<string, string>();
  readonly #waiting = makeWaiting();
  #heard: Frame[] = [];
  #failure: Error | undefined;
  #acknowledged = 0;
  #hubKey = '';
  #hubNonce = '';
  #ownNonce = '';
  #socket: WebSocket | undefined;

  constructor(version: number, options: FrozenAgentOptions) {
    this.#options = options;
    this.#readHub = readerOf(version, 'HubMessage');
    this.#readJob = readerOf(version, 'Job');
  }

  async play(line: Line): Promise<void> {
    if ('enrol' in line) return this.#enrol(line.enrol as object, line.answer as { hostId: string });
    if ('connection' in line) return this.#connect();
    if ('agent' in line) return this.#say(line.agent);
    if ('hub' in line) return this.#hear(line.hub);
    if (line.act === 'cut') this.leave();
    await this.#options.act(line.act);
    if (line.act === 'replace') this.leave();
  }

  /** Checks that nothing more has arrived. */
  finish(): void {
    if (this.#failure) throw this.#failure;
    assert.deepEqual(this.#heard, [], 'The hub said more than it once did.');
  }

  leave(): void {
    this.#socket?.terminate();
  }

  async #enrol(recorded: object, answered: { hostId: string }): Promise<void> {
    const { joinToken, hubUrl } = this.#options;
    const response = await fetch(`${hubUrl}/api/v1/enrol`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...recorded, joinToken, publicKey: this.#key.publicKey }),
    });
    const answer = (await response.json()) as { hostId: string; hubPublicKey: string };
    assert.equal(response.status, 200, JSON.stringify(answer));
    this.#ids.set(answered.hostId, answer.hostId);
    this.#hubKey = answer.hubPublicKey;
  }

  async #connect(): Promise<void> {
    this.#heard = [];
    const socket = new WebSocket(`${this.#options.hubUrl.replace('http', 'ws')}/agent`);
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      try {
        this.#take(JSON.parse(data.toString('utf8')) as Frame);
      } catch (error) {
        this.#failure ??= error as Error;
      }
      this.#waiting.look();
    });
    socket.on('close', (code) => {
      if (code !== 1006) this.#failure ??= new Error(`The hub closed the connection (${code}).`);
      this.#waiting.look();
    });
    await once(socket, 'open');
  }

  #take(frame: Frame): void {
    this.#readHub(frame);
    if (frame.type === 'ack') this.#acknowledged = frame.sequence as number;
    else this.#heard.push(frame);
  }

  /** An acknowledgement may cover several reports; everything else must arrive as recorded, with nothing in between. */
  async #hear(recorded: Frame): Promise<void> {
    if (recorded.type === 'ack') {
      return this.#until(JSON.stringify(recorded), () => this.#acknowledged >= (recorded.sequence as number));
    }
    await this.#until(JSON.stringify(recorded), () => this.#heard.length > 0);
    const frame = this.#heard.shift();
    assert.equal(frame?.type, recorded.type, JSON.stringify(frame));
    this.#learn(recorded, frame);
    if (frame?.type === 'challenge') this.#hubNonce = frame.nonce as string;
    if (frame?.type === 'welcome') {
      assert.equal(frame.protocol, recorded.protocol);
      const proof = welcomeText(this.#ownNonce, frame.sessionId);
      assert.ok(isSignedBy(proof, frame.signature as string, this.#hubKey), 'The hub did not prove its key.');
    }
    if (frame?.type === 'job') this.#openJob(recorded, frame);
  }

  #openJob(recorded: Frame, frame: Frame): void {
    const [then, now] = [recorded, frame].map(({ envelope }) => envelope as { payload: string; signature: string });
    assert.ok(isSignedBy(jobText(now?.payload), now?.signature ?? '', this.#hubKey));
    const job: unknown = JSON.parse(now?.payload ?? '');
    this.#readJob(job);
    this.#learn(JSON.parse(then?.payload ?? ''), job);
  }

  async #say(recorded: Frame): Promise<void> {
    let text = JSON.stringify(recorded);
    for (const [then, now] of this.#ids) text = text.replaceAll(then, now);
    const frame = JSON.parse(text) as Frame;
    if (frame.type === 'hello') {
      this.#ownNonce = frame.nonce as string;
      const proof = helloText(this.#hubNonce, frame.hostId, this.#ownNonce);
      text = JSON.stringify({ ...frame, signature: signText(proof, this.#key.privateKey) });
    }
    if (this.#failure) throw this.#failure;
    this.#socket?.send(text);
  }

  /** Ids in the same place name the same thing. */
  #learn(recorded: unknown, live: unknown): void {
    if (typeof recorded === 'string' && typeof live === 'string') {
      if (UUID.test(recorded) && UUID.test(live)) this.#ids.set(recorded, live);
      return;
    }
    if (typeof recorded !== 'object' || recorded === null || typeof live !== 'object' || live === null) return;
    for (const [key, value] of Object.entries(recorded)) {
      assert.ok(key in live, `The hub does not say ${key} any more: ${JSON.stringify(live)}`);
      this.#learn(value, (live as Record<string, unknown>)[key]);
    }
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    await this.#waiting.until(what, () => this.#failure !== undefined || holds());
    if (this.#failure) throw this.#failure;
  }
}
