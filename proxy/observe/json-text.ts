/** JSON strings from untrusted text. */

/** What a JSON string may contain unescaped: printable ASCII except `"` and `\`. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const NOT_PLAIN = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g;
/** The start of an escape that was cut off at the end; all escapes have the same form. */
const CUT_ESCAPE = /\\(?:u[0-9a-f]{0,3})?$/;
const ELLIPSIS = '\\u2026';

/**
 * A JSON string in printable ASCII: whatever the text is, it cannot end the string, start a line, control a terminal or
 * be half a character.
 * @param max bytes of the escaped text that are kept; an ellipsis replaces the rest
 */
export function quoted(text: string, max: number): string {
  if (text.length <= max && PLAIN.test(text)) return `"${text}"`;
  const escaped = text.slice(0, max).replace(NOT_PLAIN, escape);
  if (text.length <= max && escaped.length <= max) return `"${escaped}"`;
  return `"${escaped.slice(0, max).replace(CUT_ESCAPE, '')}${ELLIPSIS}"`;
}

/** Always `\u0022`, even where a shorter escape exists, so that there is only one form to cut. */
const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
