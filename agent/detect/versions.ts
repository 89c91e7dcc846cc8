/** Version ranges, as far as a warning needs them: does one major version fit? */

/** Compares the numbers that both versions have: `24` equals `24.3`. */
function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined) break;
    if (left !== right) return left - right;
  }
  return 0;
}

const numbers = (text: string): number[] =>
  text
    .split('.')
    .filter((part) => /^\d+$/.test(part))
    .map(Number);

/**
 * Whether `version` (possibly only a major one) may satisfy a range as npm (node-semver) and PEP 440 write them: comparators
 * joined by blanks or commas, alternatives by `||`, or `|` as composer also takes it. What is not understood is taken as satisfied: this only feeds warnings.
 */
export function admits(range: string, version: string): boolean {
  const have = numbers(version);
  return range.split(/\|\|?/).some((alternative) => {
    const joined = alternative.replace(/(?<!\S)(\S+)\s+-\s+(\S+)/g, '>=$1 <=$2').replace(/([<>=~^!]=?|==)\s+/g, '$1');
    return joined
      .split(/[\s,]+/)
      .filter((comparator) => comparator !== '')
      .every((comparator) => satisfies(have, comparator));
  });
}

interface Comparison {
  /** Order of the numbers that both have. */
  readonly order: number;
  readonly have: readonly number[];
  readonly want: readonly number[];
}

/** `have` stands for a whole line of versions (24 is any 24.x.y), so where only finer numbers differ it may satisfy. */
const OPERATORS: Readonly<Record<string, (comparison: Comparison) => boolean>> = {
  '>=': ({ order }) => order >= 0,
  '<=': ({ order }) => order <= 0,
  '>': ({ order, have, want }) => order > 0 || (order === 0 && want.length > have.length),
  '<': ({ order, have, want }) => order < 0 || (order === 0 && want.slice(have.length).some((part) => part > 0)),
  '^': ({ order, have, want }) => order >= 0 && compare(have, want.slice(0, 1)) === 0,
  '~': ({ order, have, want }) => order >= 0 && compare(have, want.slice(0, 2)) === 0,
  '~=': ({ order, have, want }) => order >= 0 && compare(have, want.slice(0, Math.max(1, want.length - 1))) === 0,
  '!=': () => true,
};

function satisfies(have: readonly number[], comparator: string): boolean {
  const [, operator = '', rest = ''] = /^(>=|<=|==|!=|~=|[<>=~^])?v?(.*)$/.exec(comparator) ?? [];
  const want = numbers(rest);
  if (want.length === 0) return true;
  const comparison = { order: compare(have, want), have, want };
  return OPERATORS[operator]?.(comparison) ?? comparison.order === 0;
}
