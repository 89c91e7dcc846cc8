/** Finds the line of each value in a JSON text, which JSON.parse does not report. */

const TOKENS = /"(?:\\.|[^"\\])*"|[[\]{},:]|[^\s[\]{},:"]+|\n/g;

const MAX_LEVELS = 20;

/** Dotted path of each value → its line, for valid JSON. Omits values deeper than {@link MAX_LEVELS}. */
export function jsonLines(text: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  /** Path to the current value: a key or an index per level; null between a `{` and its first key. */
  const stack: (string | number | null)[] = [];
  /** The last of duplicate keys counts, as in JSON.parse; a value gets the line of its key. */
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
