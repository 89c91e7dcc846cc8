/**
 * Splits a command's output into whole lines. A progress bar, which returns to the start of its line with `\r`, becomes
 * one line in its last state.
 */

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** A longer line is passed on in pieces; the step's log truncates it. */
const MAX_PENDING_BYTES = 64 * 1024;

export interface Lines {
  /** Takes output and passes each line that it completes, with its newline, to `write`. */
  push(bytes: Uint8Array, write: (line: Buffer) => void): void;
  /** The visible part of the unfinished line; empty if there is none. */
  pending(): Buffer;
  /** Whether the unfinished line is a progress bar, redrawn with `\r`. */
  isBar(): boolean;
  /** Drops the unfinished line once it has been shown. */
  clear(): void;
}

/** Lines as a terminal would finally show them. */
export function makeLines(): Lines {
  let line: Buffer = Buffer.alloc(0);
  let bar = false;

  /** The visible part of the line: what follows the last return that has text after it. */
  const visible = (): Buffer => {
    const end = line.at(-1) === RETURN ? line.findLastIndex((byte) => byte !== RETURN) + 1 : line.length;
    const start = line.subarray(0, end).lastIndexOf(RETURN) + 1;
    return line.subarray(start, end);
  };
  const clear = (): void => {
    line = Buffer.alloc(0);
    bar = false;
  };

  return {
    push(bytes, write) {
      for (let rest = Buffer.from(bytes); rest.length > 0;) {
        const newline = rest.indexOf(NEWLINE);
        line = Buffer.concat([line, newline === -1 ? rest : rest.subarray(0, newline)]);
        if (newline === -1) break;
        write(Buffer.concat([visible(), Buffer.from('\n')]));
        clear();
        rest = rest.subarray(newline + 1);
      }
      if (!line.includes(RETURN)) {
        if (line.length < MAX_PENDING_BYTES) return;
        write(line);
        line = Buffer.alloc(0);
        return;
      }
      bar = true;
      // Keeps one state, and a trailing return, after which the next byte starts a new state.
      const state = visible().subarray(-MAX_PENDING_BYTES);
      line = Buffer.concat([state, line.at(-1) === RETURN ? Buffer.from('\r') : Buffer.alloc(0)]);
    },
    pending: () => visible(),
    isBar: () => bar,
    clear,
  };
}
