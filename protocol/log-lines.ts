/** Splits raw log bytes into lines. Pure; the CLI and the console share it. */

/** Longest line kept, characters. A longer one is cut with a marker, so that memory is bounded whatever is printed. */
export const MAX_LINE = 16_384;
const CUT = ' … [line cut]';

/**
 * Splits a byte stream into lines. Chunks may split UTF-8 characters. A carriage return goes back to the start of the
 * line, as on a terminal, so only the last state of a progress bar remains.
 */
export class LogLines {
  readonly #decoder = new TextDecoder();
  #line = '';
  /** The last character was a carriage return: the next text restarts the line, unless it is the newline of a CRLF. */
  #returned = false;

  /** Adds bytes and returns the lines that they complete. */
  push(bytes: Uint8Array): string[] {
    return this.#add(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The line that still lacks its newline. */
  get open(): string {
    return this.#line;
  }

  /** Ends the stream and returns the rest as a last line, if there is any. */
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

/** The new bytes of a log event. `seen` is how far the step's log has been read; bytes before it are dropped. */
export function freshBytes(data: string, offset: number, seen: number): Uint8Array {
  const text = atob(data);
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  return offset >= seen ? bytes : bytes.subarray(Math.min(seen - offset, bytes.length));
}
