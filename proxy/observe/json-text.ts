/** JSON strings of text that anybody may have written. */

/** All that may stand in a JSON string as it is: printable ASCII but `"` and `\`. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/**
 * A JSON string in printable ASCII alone: whatever the text is, it cannot end the string, begin a line, steer a
 * terminal or be half a character.
 * @param max characters of the text that are kept; an ellipsis stands for the rest
 */
export function quoted(text: string, max: number): string {
  const kept = text.length <= max ? text : `${text.slice(0, max)}\u2026`;
  return PLAIN.test(kept) ? `"${kept}"` : `"${kept.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, escaped)}"`;
}

function escaped(unit: string): string {
  if (unit === '"' || unit === '\\') return `\\${unit}`;
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
