/** What the client experienced. */
import { nowMs } from '../clock.ts';

/** Number of faults reported in full; the rest are only counted. */
const KEPT_FAULTS = 30;

/** The load ramps up, is steady, and continues while the proxy is flipped. */
export type Phase = 'rising' | 'quiet' | 'flipping';

/** `failed`: no correct response began. `truncated`: it began and did not arrive whole. */
type FaultKind = 'failed' | 'truncated' | 'newSocketsCut' | 'noCloseFrame';

export interface Tally {
  readonly requests: number;
  readonly byKind: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<FaultKind, number>>;
  readonly said: readonly string[];
  /** Number of versions that answered something. */
  readonly versions: number;
  /** WebSockets and event streams that the proxy closed at a deadline, and the number opened in all. */
  readonly closed: number;
  readonly opened: number;
  /** Ms to the whole response to a short request, 99th percentile, before and during the flips. */
  readonly p99MsQuiet: number;
  readonly p99Ms: number;
  /** Requests that were not sent in time because this process was too busy. */
  readonly skipped: number;
}

/** A fault in a response that did arrive, as opposed to a network error. */
export class Wrong extends Error {
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string) {
    super(message);
    this.kind = kind;
  }

  /** The same fault with a longer message. */
  with(words: string): Wrong {
    return new Wrong(this.kind, `${this.message}: ${words}`);
  }
}

export class TallyBook {
  readonly #faults: Record<FaultKind, number> = { failed: 0, truncated: 0, newSocketsCut: 0, noCloseFrame: 0 };
  readonly #said: string[] = [];
  readonly #byKind: Record<string, number> = {};
  readonly #versions = new Set<string>();
  readonly #latencies: Record<Phase, number[]> = { rising: [], quiet: [], flipping: [] };
  #requests = 0;
  #opened = 0;
  #closed = 0;
  #skipped = 0;
  phase: Phase = 'rising';

  answered(kind: string, version: string, ms: number | null): void {
    this.#count(kind);
    this.#versions.add(version);
    if (ms !== null) this.#latencies[this.phase].push(ms);
  }

  /** Counts a WebSocket or an event stream that opened on a version. */
  opened(kind: string, version: string): void {
    this.#opened += 1;
    this.answered(kind, version, null);
  }

  closed(): void {
    this.#closed += 1;
  }

  skipped(count: number): void {
    this.#skipped += count;
  }

  /** Counts a request that was sent and failed. */
  fault(kind: string, error: unknown): void {
    this.#count(kind);
    this.note(error instanceof Wrong ? error.kind : 'failed', `${kind}: ${describe(error)}`);
  }

  /** Records a fault of something already counted. */
  note(kind: FaultKind, what: string): void {
    this.#faults[kind] += 1;
    if (this.#said.length < KEPT_FAULTS) this.#said.push(`${nowMs().toFixed(0)} ${kind}: ${what}`);
  }

  read(): Tally {
    return {
      requests: this.#requests,
      byKind: this.#byKind,
      faults: this.#faults,
      said: this.#said,
      versions: this.#versions.size,
      closed: this.#closed,
      opened: this.#opened,
      p99MsQuiet: percentile(this.#latencies.quiet, 0.99),
      p99Ms: percentile(this.#latencies.flipping, 0.99),
      skipped: this.#skipped,
    };
  }

  #count(kind: string): void {
    this.#requests += 1;
    this.#byKind[kind] = (this.#byKind[kind] ?? 0) + 1;
  }
}

/** The smallest value that at least `share` of all do not exceed; 0 for no values. Rounded to two decimals. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return Math.round((sorted[Math.ceil(sorted.length * share) - 1] ?? 0) * 100) / 100;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error.message : `${code} ${error.message}`;
}
