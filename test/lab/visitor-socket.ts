/** A visitor's WebSocket that is kept open and says something now and then; an answer that does not come is a loss. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

const ANSWER_MS = 5000;
const EVERY_MS = 250;

export class VisitorSocket {
  readonly #socket: WebSocket;
  readonly #timer: NodeJS.Timeout;
  #losses = 0;
  #sent = 0;
  #heard = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', () => (this.#heard += 1));
    socket.on('close', () => (this.#losses += 1));
    socket.on('error', () => (this.#losses += 1));
    this.#timer = setInterval(() => this.#say(`${this.#sent}`), EVERY_MS);
  }

  static async open(url: string, hostName: string): Promise<VisitorSocket> {
    const socket = new WebSocket(url, { headers: { host: hostName }, perMessageDeflate: false });
    await once(socket, 'open');
    return new VisitorSocket(socket);
  }

  /** What was not answered, and whether it was closed by the other side. */
  get losses(): number {
    return this.#losses + this.#sent - this.#heard;
  }

  /** Says something and waits until everything was answered. */
  async echo(text: string): Promise<void> {
    this.#say(text);
    clearInterval(this.#timer);
    const signal = AbortSignal.timeout(ANSWER_MS);
    while (this.#heard < this.#sent && this.#losses === 0) await once(this.#socket, 'message', { signal });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.removeAllListeners('close');
    this.#socket.terminate();
  }

  #say(text: string): void {
    this.#sent += 1;
    this.#socket.send(text);
  }
}
