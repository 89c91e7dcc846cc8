/** Lines of a text, for warnings that name one. */

/** Longest part of a line that is looked at: more is not written by a person. */
const MAX_LINE = 500;

export const linesOf = (text: string): string[] => text.split('\n').map((line) => line.slice(0, MAX_LINE).trimEnd());

/** Number of the first line that matches, from 1; null if none does. */
export function lineOf(text: string, pattern: RegExp): number | null {
  const index = linesOf(text).findIndex((line) => pattern.test(line));
  return index === -1 ? null : index + 1;
}
