/** Version ranges, as precisely as warnings need: does a major version match? */

/** Compares the components that both versions have: `24` equals `24.3`. */
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
 * Whether `version` (possibly only a major version) may satisfy a range of npm (node-semver) or PEP 440: comparators
 * joined by spaces or commas, alternatives by `||`, or `|` as in composer. Unparsable parts count as satisfied: this
 * only feeds warnings.
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
  /** Order by the components that both have. */
  readonly order: number;
  readonly have: readonly number[];
  readonly want: readonly number[];
}

/** `have` stands for a version line (24 is any 24.x.y): if only finer components differ, the range may be satisfied. */
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
