/** Makes connections read into one shared buffer. */
import { Socket } from 'node:net';

/**
 * The internals that the `onread` option of an outgoing connection sets; a server has no such option for accepted ones.
 */
interface WithOwnReads {
  readonly _handle: { useUserBuffer(buffer: Uint8Array): void } | null;
  [symbol: symbol]: unknown;
}

/**
 * Reads neither allocate a buffer nor emit an event. This relies on three undocumented properties and one method of
 * node: its version is pinned, and a missing property is an error at startup.
 */
export class SharedReads {
  readonly #buffer: Buffer;
  readonly #bufferOf: symbol;
  readonly #callbackOf: symbol;
  readonly #generatorOf: symbol;

  /** @throws Error when this version of node lacks the properties */
  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#bufferOf = symbolOf('kBuffer');
    this.#callbackOf = symbolOf('kBufferCb');
    this.#generatorOf = symbolOf('kBufferGen');
  }

  /**
   * From now on every read lands at the start of the buffer. `resume` starts reading.
   * @param socket a TCP socket, or a TLS socket after its handshake; replaces its `onread` option
   * @param callback called with the number of bytes read, which are valid during the call; false pauses until `resume`
   */
  attach(socket: Socket, callback: (length: number) => boolean): void {
    const own = socket as unknown as WithOwnReads;
    own[this.#bufferOf] = this.#buffer;
    own[this.#callbackOf] = callback;
    own[this.#generatorOf] = null;
    // A connection that was closed meanwhile has no handle; its `close` event follows.
    own._handle?.useUserBuffer(this.#buffer);
  }
}

function symbolOf(description: string): symbol {
  const found = Object.getOwnPropertySymbols(new Socket()).find((symbol) => symbol.description === description);
  if (found === undefined) throw new Error(`net.Socket of Node ${process.version} has no ${description}`);
  return found;
}
