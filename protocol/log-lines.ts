/** Raw log bytes into lines. Pure; the command lines and the console share it. */

/** Longest line kept, characters; a longer one is cut with a marker, so that memory stays bounded whatever a build prints. */
export const MAX_LINE = 16_384;
const CUT = ' … [line cut]';

/**
 * Splits a byte stream into lines. UTF-8 may be torn between chunks. A carriage return goes back to the start of the
 * line, as on a terminal: of a progress bar only its last state is left.
 */
export class LogLines {
  readonly #decoder = new TextDecoder();
  #line = '';
  /** A carriage return came last: what follows starts the line anew, unless it is the newline of a CRLF. */
  #returned = false;

  /** Adds bytes and gives the lines that are complete now. */
  push(bytes: Uint8Array): string[] {
    return this.#add(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The line that has no newline yet. */
  get open(): string {
    return this.#line;
  }

  /** The end of the stream: what is left as a last line, if there is something. */
  end(): string[] {
    const lines = this.#add(this.#decoder.decode());
    if (this.#line !== '') lines.push(this.#line);
    this.#line = '';
    return lines;
  }

  #add(text: string): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      this.#extend(text.slice(start, end));
      lines.push(this.#line);
      this.#line = '';
      this.#returned = false;
      start = end + 1;
    }
    this.#extend(text.slice(start));
    return lines;
  }

  #extend(part: string): void {
    if (part === '') return;
    const body = part.replace(/\r+$/, '');
    const rewind = body.lastIndexOf('\r');
    if (rewind !== -1) this.#line = body.slice(rewind + 1);
    else if (body !== '') this.#line = this.#returned ? body : this.#line + body;
    if (this.#line.length > MAX_LINE) this.#line = this.#line.slice(0, MAX_LINE - CUT.length) + CUT;
    this.#returned = body.length < part.length || (body === '' && this.#returned);
  }
}

/** The bytes of a log event. `offset` is where the step's log is read up to: bytes before it were seen already. */
export function freshBytes(data: string, offset: number, seen: number): Uint8Array {
  const text = atob(data);
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  return offset >= seen ? bytes : bytes.subarray(Math.min(seen - offset, bytes.length));
}
