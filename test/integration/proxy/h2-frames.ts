/** HTTP/2 frame by frame (RFC 9113 section 4), to send what no honest client sends. */
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { TestContext } from 'node:test';
import { FLAG, FRAME, PREFACE } from '../../../proxy/h2/wire/codes.ts';
import { block, frame } from '../../../proxy/h2/wire/test-frames.ts';
import type { Http2Edge } from './h2-harness.ts';
import { eventually } from './harness.ts';

const HEAD_BYTES = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'app.test'],
  [':path', '/'],
];

/** A connection on which a test sends exactly these frames. */
export class RawClient {
  readonly frames: Frame[] = [];
  ended = false;
  readonly socket: TLSSocket;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
    });
  }

  /** @param settings null: sends nothing at all */
  static async open(
    t: TestContext,
    edge: Pick<Http2Edge, 'port' | 'cert'>,
    settings: Buffer | null = Buffer.alloc(0),
  ): Promise<RawClient> {
    const socket = connect({
      port: edge.port,
      host: '127.0.0.1',
      ca: edge.cert,
      servername: 'app.test',
      ALPNProtocols: ['h2'],
    });
    t.after(() => socket.destroy());
    await once(socket, 'secureConnect');
    const client = new RawClient(socket);
    if (settings !== null) {
      client.send(PREFACE, frame(FRAME.settings, 0, 0, settings));
      await client.sees((one) => one.type === FRAME.settings);
    }
    return client;
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  request(stream: number, fields: readonly (readonly [string, string])[], flags: number = FLAG.endStream): void {
    this.send(frame(FRAME.headers, flags | FLAG.endHeaders, stream, block(fields)));
  }

  async sees(wanted: (frame: Frame) => boolean): Promise<Frame> {
    await eventually('a frame', () => this.ended || this.frames.some(wanted));
    const found = this.frames.find(wanted);
    if (!found) throw new Error('the connection ended without the frame');
    return found;
  }

  of(stream: number, type: number): Frame[] {
    return this.frames.filter((one) => one.stream === stream && one.type === type);
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEAD_BYTES) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < HEAD_BYTES + length) return;
      const [type = 0, flags = 0] = [this.#rest[3], this.#rest[4]];
      const stream = this.#rest.readUInt32BE(5);
      this.frames.push({ type, flags, stream, payload: this.#rest.subarray(HEAD_BYTES, HEAD_BYTES + length) });
      this.#rest = this.#rest.subarray(HEAD_BYTES + length);
    }
  }
}
