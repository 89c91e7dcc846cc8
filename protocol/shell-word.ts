/** `text` as one word of a POSIX shell (XCU 2.2.2), quoted if necessary. */
export const shellWord = (text: string): string =>
  /^[\w./:@=,+%-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
