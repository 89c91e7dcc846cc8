/** What of an answer is to be written: a range of a buffer of the call, which grows while pieces follow each other in it. */
const EMPTY = Buffer.alloc(0);

interface Writer {
  /** @returns false while the kernel has not taken all of it */
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

  /** Nothing is to be written before it. */
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

  /** @returns false while the kernel has not taken all of it */
  flush(): boolean {
    if (this.#end === this.#start) return true;
    const start = this.#start;
    const end = this.#end;
    this.#start = 0;
    this.#end = 0;
    return this.#to.write(this.#bytes, start, end);
  }

  /** What is there is not written any more. */
  clear(): void {
    this.begin(EMPTY, 0, 0);
  }
}
