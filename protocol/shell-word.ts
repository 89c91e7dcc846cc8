/** `text` as one word of a POSIX shell (XCU 2.2.2), quoted where it needs it. */
export const shellWord = (text: string): string =>
  /^[\w./:@=,+%-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
