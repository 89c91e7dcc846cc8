/** Parses settings files like systemd does for a unit (systemd.exec(5), EnvironmentFile=). */

/** Between lines, and before a name. */
const BLANK = /[ \t\n\r]+/y;
const COMMENT = /[#;][^\n\r]*/y;
/** Up to the first "=" of the line. */
const NAME = /([^=\n\r]*)=/y;
const NO_ASSIGNMENT = /[^\n\r]+/y;
const SPACE = /[ \t]+/y;
/** An unclosed quote extends to the end of the file. */
const SINGLE_QUOTED = /'([^']*)'?/y;
const DOUBLE_QUOTED = /"((?:[^"\\]|\\[^])*)"?/y;
/** To the end of the line; a backslash at the end continues the line. */
const UNQUOTED = /((?:[^ \t\n\r\\]|\\[^]|\\$|[ \t]+(?=[^ \t\n\r]))+)/y;

type Take = (pattern: RegExp) => string | undefined;

/** @returns name → value. Lines that are not assignments are skipped; the last assignment of a name wins. */
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

/** Quoted parts may follow each other; an unquoted part is the last. */
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
  // A backslash makes the next character literal; before a line break both vanish.
  return value + rest.replaceAll(/\\([^]?)/g, (_, character: string) => (/[\n\r]/.test(character) ? '' : character));
}

/** As in a shell: before any other character than these, a backslash is literal. */
const unescapeQuoted = (text: string): string =>
  text.replaceAll(/\\(["\\`$\n])/g, (_, character: string) => (character === '\n' ? '' : character));
