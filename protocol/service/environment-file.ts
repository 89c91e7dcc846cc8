/** Settings in a file as systemd reads it for a unit (systemd.exec(5), EnvironmentFile=). */

/** Between lines, and before a name. */
const BLANK = /[ \t\n\r]+/y;
const COMMENT = /[#;][^\n\r]*/y;
/** Up to the first "=" of the line. */
const NAME = /([^=\n\r]*)=/y;
const NO_ASSIGNMENT = /[^\n\r]+/y;
const SPACE = /[ \t]+/y;
/** A quote that is not closed holds the rest of the file. */
const SINGLE_QUOTED = /'([^']*)'?/y;
const DOUBLE_QUOTED = /"((?:[^"\\]|\\[^])*)"?/y;
/** To the end of the line; one that ends with a backslash goes on in the next. */
const UNQUOTED = /((?:[^ \t\n\r\\]|\\[^]|\\$|[ \t]+(?=[^ \t\n\r]))+)/y;

type Take = (pattern: RegExp) => string | undefined;

/** @returns name → value; lines that are no assignment are left out, and of two of a name the later one counts */
export function parseEnvironmentFile(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  let at = 0;
  const take: Take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    at += found[0].length;
    return found[1] ?? found[0];
  };
  while (at < text.length) {
    if (take(BLANK) !== undefined || take(COMMENT) !== undefined) continue;
    const name = take(NAME);
    if (name === undefined) take(NO_ASSIGNMENT);
    else settings.set(name.replace(/[ \t]+$/, ''), takeValue(take));
  }
  return settings;
}

/** Quoted parts may follow each other; what is not quoted is the last part. */
function takeValue(take: Take): string {
  let value = '';
  for (;;) {
    take(SPACE);
    const single = take(SINGLE_QUOTED);
    const double = single === undefined ? take(DOUBLE_QUOTED) : undefined;
    if (single === undefined && double === undefined) break;
    value += single ?? unescapeQuoted(double ?? '');
  }
  const rest = take(UNQUOTED) ?? '';
  // Any character after a backslash stands for itself, and the end of a line for nothing.
  return value + rest.replaceAll(/\\([^]?)/g, (_, character: string) => (/[\n\r]/.test(character) ? '' : character));
}

/** As a shell does it: a backslash before anything else than these is one. */
const unescapeQuoted = (text: string): string =>
  text.replaceAll(/\\(["\\`$\n])/g, (_, character: string) => (character === '\n' ? '' : character));
