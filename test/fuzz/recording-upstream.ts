/** A strict upstream that records the requests it received, and everything that no strict server accepts. */
import type { Socket } from 'node:net';
import { StrictUpstream } from './strict-upstream.ts';
import type { StrictRequest } from './strict-upstream.ts';

export class RecordingUpstream {
  /** By host: requests in order, one line each. */
  readonly seen = new Map<string, string[]>();
  /** What the proxy sent that is no request. */
  readonly strays: string[] = [];
  readonly #answer: (request: StrictRequest, socket: Socket) => void;
  #upstream: StrictUpstream | null = null;

  constructor(answer: (request: StrictRequest, socket: Socket) => void) {
    this.#answer = answer;
  }

  /** @returns its port */
  async start(): Promise<number> {
    this.#upstream = await StrictUpstream.start({
      request: this.#answer,
      fault: (what, bytes) => this.strays.push(`${what} in ${JSON.stringify(bytes.slice(0, 300))}`),
    });
    return this.#upstream.port;
  }

  async close(): Promise<void> {
    await this.#upstream?.close();
  }

  record(host: string, line: string): void {
    this.seen.set(host, [...(this.seen.get(host) ?? []), line]);
  }

  /** Call this before the next cases. */
  forget(): void {
    this.seen.clear();
    this.strays.length = 0;
  }
}
