/** A hub for tests: a real WebSocket server that speaks the protocol and can be made to misbehave. */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { AgentMessage, CLOSE_REPLACED, helloProof, MAX_FRAME_BYTES, welcomeProof } from '../../protocol/agent-link.ts';
import type { HubMessage, Report } from '../../protocol/agent-link.ts';
import { isSignedBy, makeKeyPair, signText } from '../../protocol/signing.ts';
import type { KeyPairPem } from '../../protocol/signing.ts';
import { PROTOCOL_VERSION } from '../../protocol/versions.ts';

export interface FakeHub {
  readonly url: string;
  readonly keys: KeyPairPem;
  /** Reports as stored, by sequence: a replay changes nothing. */
  readonly stored: Map<number, Report>;
  /** Sequences in the order of arrival, replays included. */
  readonly received: number[];
  readonly messages: AgentMessage[];
  connections(): number;
  /** Resolves when the next connection has received its welcome. */
  nextSession(): Promise<void>;
  /** Resolves when `holds` is true; checked after each message. */
  until(holds: () => boolean): Promise<void>;
  send(message: HubMessage | string | Buffer): void;
  /** Cuts the connection without a close frame. */
  cut(): void;
  /** Closes the connection as a hub does when the same host has connected again. */
  replace(): void;
  /** Stops reading and answering, including pongs, while the connection stays open. */
  freeze(): void;
  close(): Promise<void>;
}

export interface FakeHubBehaviour {
  /** Host name under which the agent dials it; absent: its address. */
  readonly name?: string;
  /** Acknowledge reports; default true. */
  acknowledge?: boolean;
  /** Sign the welcome with another key. */
  impostor?: boolean;
  /** Sent in place of the challenge. */
  greeting?: string | Buffer;
  /** The sequence that the hub claims to have; default the highest stored. */
  remembers?: number;
  readonly hostPublicKey: string;
  readonly heartbeatSeconds?: number;
  /** Protocol version of its welcome; default the newest. */
  readonly protocol?: number;
}

export async function startFakeHub(behaviour: FakeHubBehaviour): Promise<FakeHub> {
  const keys = makeKeyPair();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: MAX_FRAME_BYTES });
  await once(server, 'listening');
  const stored = new Map<number, Report>();
  const received: number[] = [];
  const messages: AgentMessage[] = [];
  const waiting: { holds: () => boolean; done: () => void }[] = [];
  const welcomed: (() => void)[] = [];
  let socket: WebSocket | null = null;
  let connections = 0;

  const look = (): void => {
    const held = waiting.filter(({ holds }) => holds());
    for (const one of held) {
      waiting.splice(waiting.indexOf(one), 1);
      one.done();
    }
  };
  const send = (to: WebSocket, message: HubMessage): void => to.send(JSON.stringify(message));

  server.on('connection', (client) => {
    connections += 1;
    socket = client;
    const nonce = randomBytes(32).toString('base64url');
    client.on('error', () => undefined); // many tests cut connections
    client.on('message', (data: Buffer) => {
      const parsed = AgentMessage.safeParse(JSON.parse(data.toString('utf8')));
      if (!parsed.success) return client.close(1008, 'not a message of an agent');
      const message = parsed.data;
      messages.push(message);
      if (message.type === 'hello') greet(client, nonce, message);
      if (message.type === 'report') {
        received.push(message.sequence);
        stored.set(message.sequence, message.report);
        if (behaviour.acknowledge !== false) send(client, { type: 'ack', sequence: message.sequence });
      }
      look();
    });
    if (behaviour.greeting !== undefined) client.send(behaviour.greeting);
    else send(client, { type: 'challenge', nonce });
    look();
  });

  const greet = (client: WebSocket, nonce: string, hello: Extract<AgentMessage, { type: 'hello' }>): void => {
    if (!isSignedBy(helloProof(nonce, hello.hostId, hello.nonce), hello.signature, behaviour.hostPublicKey)) {
      client.close(1008, 'not the key of this host');
      return;
    }
    const sessionId = randomUUID();
    const key = behaviour.impostor ? makeKeyPair().privateKey : keys.privateKey;
    send(client, {
      type: 'welcome',
      protocol: behaviour.protocol ?? PROTOCOL_VERSION,
      sessionId,
      acknowledged: behaviour.remembers ?? Math.max(0, ...stored.keys()),
      heartbeatSeconds: behaviour.heartbeatSeconds ?? 60,
      signature: signText(welcomeProof(hello.nonce, sessionId), key),
    });
    for (const done of welcomed.splice(0)) done();
  };

  return {
    url: `http://${behaviour.name ?? '127.0.0.1'}:${(server.address() as AddressInfo).port}`,
    keys,
    stored,
    received,
    messages,
    connections: () => connections,
    nextSession: () => new Promise((resolve) => welcomed.push(resolve)),
    until: (holds) =>
      new Promise((done) => {
        waiting.push({ holds, done });
        look();
      }),
    send(message) {
      socket?.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
    },
    cut: () => socket?.terminate(),
    replace: () => socket?.close(CLOSE_REPLACED, 'a newer session of this host is here'),
    freeze: () => socket?.pause(),
    async close() {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}
