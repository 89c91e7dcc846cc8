/** A visitor's WebSocket that stays open and sends something regularly; a missing reply is a loss. */
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

  /** Missing replies, plus one if the other side has closed the connection. */
  get losses(): number {
    return this.#losses + this.#sent - this.#heard;
  }

  /** Sends something and waits until everything has been echoed. */
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
