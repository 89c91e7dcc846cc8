/** Reads of connections into one buffer of ours, which all of them share. */
import { Socket } from 'node:net';

/** What the option `onread` of a connection that one opens sets; a server takes none for those that it accepts. */
interface WithOwnReads {
  readonly _handle: { useUserBuffer(buffer: Uint8Array): void } | null;
  [symbol: symbol]: unknown;
}

/**
 * No buffer is made and no event emitted for a read. Two properties and a method of node that are not documented make it
 * work: the version of node is pinned, and what is not there is an error at start.
 */
export class SharedReads {
  readonly #buffer: Buffer;
  readonly #bufferOf: symbol;
  readonly #callbackOf: symbol;
  readonly #generatorOf: symbol;

  /** @throws Error when this node has no such properties */
  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#bufferOf = symbolOf('kBuffer');
    this.#callbackOf = symbolOf('kBufferCb');
    this.#generatorOf = symbolOf('kBufferGen');
  }

  /**
   * From now on what is read lands at the start of the buffer. `resume` begins it.
   * @param socket of TCP, or of TLS after its handshake; one that was opened with `onread` forgets that
   * @param callback is told how many bytes came, which are valid during the call; false: no more until `resume`
   */
  attach(socket: Socket, callback: (length: number) => boolean): void {
    const own = socket as unknown as WithOwnReads;
    own[this.#bufferOf] = this.#buffer;
    own[this.#callbackOf] = callback;
    own[this.#generatorOf] = null;
    // A connection that has ended meanwhile has no handle, and its `close` comes.
    own._handle?.useUserBuffer(this.#buffer);
  }
}

function symbolOf(description: string): symbol {
  const found = Object.getOwnPropertySymbols(new Socket()).find((symbol) => symbol.description === description);
  if (found === undefined) throw new Error(`net.Socket of Node ${process.version} has no ${description}`);
  return found;
}
