/** @param sorted ascending; @param share from 0 to 1; @returns nearest rank, NaN for no values */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}
