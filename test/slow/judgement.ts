/** What a part of `npm run test:slow` has measured, and its bars. */
import { DEFAULT_LIMITS } from '../../proxy/config.ts';
import { round } from './visitor.ts';

/** The bars: a visitor's p99 relative to its quiet value, and the growth of the proxy's memory. */
const SLOWER = 2;
const GROWTH_MB = 200;
/** How many of slowhttptest's connections must have reached the proxy, as a share; a busy machine opens some late. */
const REACHED = 0.9;

/** The trouble in one round. */
export interface Trouble {
  readonly kind: 'slow' | 'flood' | 'idle';
  /** Connections that were to be opened. */
  readonly asked: number;
  /** Connections once all attackers had arrived, and after the visitor's time among them. */
  readonly reached: number;
  readonly left: number;
}

export interface Part {
  readonly quietP99Ms: number;
  /** While attackers arrive, a thousand a second; reported, without a bar. */
  readonly rampP99Ms: number;
  /** Once all attackers have arrived. */
  readonly p99Ms: number;
  readonly ratio: number;
  readonly failed: number;
  readonly rssMB: number;
  readonly peakRssMB: number;
  /** In flight without a client, afterwards. */
  readonly claims: number;
  /** Connections that found the listener's queue full: their clients retry a second later. */
  readonly overflows: number;
  /** Share of time that the proxy's main thread was on a processor, and that it waited for one. */
  readonly busyPercent: number;
  readonly waitedPercent: number;
  /** By round. */
  readonly troubles: readonly Trouble[];
  readonly ok: boolean;
}

/** Adds the ratio and the verdict. A visitor who met no attack proves nothing. */
export function judged(part: Omit<Part, 'ratio' | 'ok'>): Part {
  const ratio = round(part.p99Ms / part.quietP99Ms);
  const isUndisturbed = ratio <= SLOWER && part.failed === 0;
  const isTidy = part.peakRssMB - part.rssMB <= GROWTH_MB && part.claims === 0;
  const ok = isUndisturbed && isTidy && part.troubles.length > 0 && part.troubles.every(wasAsMeant);
  return { ...part, ratio, ok };
}

function wasAsMeant({ kind, asked, reached, left }: Trouble): boolean {
  if (kind === 'slow') return reached >= REACHED * asked;
  // Idle connections disturb nobody: the proxy must keep all of them.
  if (kind === 'idle') return reached === asked && left === asked;
  // Later it may answer those that it let in, because they are silent.
  return reached > 0 && reached <= DEFAULT_LIMITS.connectionsPerAddress;
}
