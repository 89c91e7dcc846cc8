/** The pending part of a response: a range of one of the call's buffers, which grows when adjacent pieces are added. */
const EMPTY = Buffer.alloc(0);

interface Writer {
  /** @returns false while the kernel has not taken everything */
  write(bytes: Buffer, start: number, end: number): boolean;
}

export class Outgoing {
  readonly #to: Writer;
  #bytes: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  constructor(to: Writer) {
    this.#to = to;
  }

  /** Sets the pending range. The previous one must be flushed, or is dropped. */
  begin(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  add(bytes: Buffer, start: number, end: number): void {
    if (this.#end === start && this.#bytes === bytes) {
      this.#end = end;
      return;
    }
    this.flush();
    this.begin(bytes, start, end);
  }

  /** @returns false while the kernel has not taken everything */
  flush(): boolean {
    if (this.#end === this.#start) return true;
    const start = this.#start;
    const end = this.#end;
    this.#start = 0;
    this.#end = 0;
    return this.#to.write(this.#bytes, start, end);
  }

  /** Drops the pending range. */
  clear(): void {
    this.begin(EMPTY, 0, 0);
  }
}
