/** In which line of a JSON text a value stands: JSON.parse does not tell. */

const TOKENS = /"(?:\\.|[^"\\])*"|[[\]{},:]|[^\s[\]{},:"]+|\n/g;

const MAX_LEVELS = 20;

/** Dotted path of each value → its line, for valid JSON. Values deeper than {@link MAX_LEVELS} are left out. */
export function jsonLines(text: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  /** The way down: a key or an index per level; null between a `{` and its first key. */
  const stack: (string | number | null)[] = [];
  /** Of a key that stands twice the last one counts, as for JSON.parse; a value has the line of its key. */
  const mark = (line: number, isKey: boolean): void => {
    if (stack.length > MAX_LEVELS) return;
    const path = stack.join('.');
    if (isKey || !lines.has(path)) lines.set(path, line);
  };
  let line = 1;
  let key: string | null = null;
  for (const [token] of text.matchAll(TOKENS)) {
    const top = stack.length - 1;
    if (token === '\n') line += 1;
    else if (token === '{') stack.push(null);
    else if (token === '[') stack.push(0);
    else if (token === '}' || token === ']') stack.pop();
    else if (token === ',') stack[top] = typeof stack[top] === 'number' ? stack[top] + 1 : null;
    else if (token === ':') {
      stack[top] = key;
      mark(line, true);
    } else if (stack[top] === null && token.startsWith('"')) key = String(JSON.parse(token));
    else mark(line, false);
  }
  return lines;
}
