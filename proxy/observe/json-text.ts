/** JSON strings of text that anybody may have written. */

/** All that may stand in a JSON string as it is: printable ASCII but `"` and `\`. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const NOT_PLAIN = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g;
/** The beginning of an escape at the end of a text in which all escapes have one form. */
const CUT_ESCAPE = /\\(?:u[0-9a-f]{0,3})?$/;
const ELLIPSIS = '\\u2026';

/**
 * A JSON string in printable ASCII alone: whatever the text is, it cannot end the string, begin a line, steer a
 * terminal or be half a character.
 * @param max bytes of the escaped text that are kept; an ellipsis stands for the rest
 */
export function quoted(text: string, max: number): string {
  if (text.length <= max && PLAIN.test(text)) return `"${text}"`;
  const escaped = text.slice(0, max).replace(NOT_PLAIN, escape);
  if (text.length <= max && escaped.length <= max) return `"${escaped}"`;
  return `"${escaped.slice(0, max).replace(CUT_ESCAPE, '')}${ELLIPSIS}"`;
}

/** `\u0022` also for what has a shorter escape, so that there is one form to cut. */
const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
