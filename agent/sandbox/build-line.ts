/**
 * The output of one command as whole lines. A progress bar, which goes back to the start of its line with `\r`, is one line
 * in its last state.
 */

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** A line that is longer goes out in pieces; the step's log cuts it. */
const MAX_PENDING_BYTES = 64 * 1024;

export interface Lines {
  /** Take output, and give each line that is finished by it, with its newline, to `write`. */
  push(bytes: Uint8Array, write: (line: Buffer) => void): void;
  /** What the line shows that has no end yet; empty when there is none. */
  pending(): Buffer;
  /** Whether that line is drawn again and again. */
  isBar(): boolean;
  /** It was shown: what comes next on this line is shown anew. */
  clear(): void;
}

/** Lines as a terminal would show them at their end. */
export function makeLines(): Lines {
  let line: Buffer = Buffer.alloc(0);
  let bar = false;

  /** What can be seen of the line: from its last return on that something was written after. */
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
      // Kept is one state, and the return when the next byte begins another one.
      const state = visible().subarray(-MAX_PENDING_BYTES);
      line = Buffer.concat([state, line.at(-1) === RETURN ? Buffer.from('\r') : Buffer.alloc(0)]);
    },
    pending: () => visible(),
    isBar: () => bar,
    clear,
  };
}
