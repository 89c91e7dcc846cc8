/** Turns measurements into the report. Pure. */
import { median } from '../proxy/median.ts';
import type { Deployed } from './ours.ts';

export type Kind = 'cold' | 'warm';

export interface Pair {
  readonly ours: Deployed;
  readonly plain: Deployed;
}

interface Compared {
  /** ms, medians. */
  readonly ours: number;
  readonly plain: number;
  readonly ratio: number;
  readonly steps: { readonly ours: Record<string, number>; readonly plain: Record<string, number> };
}

interface Report {
  readonly cold: Compared;
  readonly warm: Compared;
  readonly rollback: { readonly ms: number; readonly steps: Record<string, number> };
  /** The first deployment of a host, once. */
  readonly first: { readonly ms: number };
  readonly rounds: number;
}

export function report(measured: {
  readonly first: Deployed;
  readonly pairs: Readonly<Record<Kind, readonly Pair[]>>;
  readonly rollbacks: readonly Deployed[];
  readonly rounds: number;
}): Report {
  const { first, pairs, rollbacks, rounds } = measured;
  return {
    cold: compare(pairs.cold),
    warm: compare(pairs.warm),
    rollback: { ms: total(rollbacks), steps: stepsOf(rollbacks) },
    first: { ms: Math.round(first.ms) },
    rounds,
  };
}

function compare(pairs: readonly Pair[]): Compared {
  const [ours, plain] = [pairs.map((pair) => pair.ours), pairs.map((pair) => pair.plain)];
  const [oursMs, plainMs] = [total(ours), total(plain)];
  return {
    ours: oursMs,
    plain: plainMs,
    ratio: Number((oursMs / plainMs).toFixed(2)),
    steps: { ours: stepsOf(ours), plain: stepsOf(plain) },
  };
}

const total = (all: readonly Deployed[]): number => rounded(all.map(({ ms }) => ms));

/** The median of each step: they need not add up to the median of the whole. */
function stepsOf(all: readonly Deployed[]): Record<string, number> {
  const names = [...new Set(all.flatMap(({ steps }) => Object.keys(steps)))];
  return Object.fromEntries(names.map((name) => [name, rounded(all.map(({ steps }) => steps[name] ?? 0))]));
}

const rounded = (values: readonly number[]): number => Math.round(median(values) ?? 0);
