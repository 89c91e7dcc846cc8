/** Cuts lines that are longer than a limit, with a visible mark. Memory use does not depend on the line's length. */

const NEWLINE = 0x0a;

/** Returns a function from chunk to chunk that keeps its position in the line. */
export function makeLineLimiter(maxBytes: number): (chunk: Buffer) => Buffer {
  const mark = Buffer.from(` [orkestr: line cut at ${maxBytes} bytes]`);
  let used = 0;
  let cut = false;
  return (chunk) => {
    const out: Buffer[] = [];
    for (let at = 0; at < chunk.length;) {
      const newline = chunk.indexOf(NEWLINE, at);
      const end = newline === -1 ? chunk.length : newline;
      const kept = chunk.subarray(at, Math.min(end, at + maxBytes - used));
      out.push(kept);
      used += kept.length;
      if (kept.length < end - at && !cut) {
        out.push(mark);
        cut = true;
      }
      if (newline !== -1) {
        out.push(chunk.subarray(newline, newline + 1));
        used = 0;
        cut = false;
      }
      at = end + 1;
    }
    return Buffer.concat(out);
  };
}
