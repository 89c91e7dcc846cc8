/** What the client met. */
import { nowMs } from '../clock.ts';

/** Faults that are told word by word; the rest is only counted. */
const KEPT_FAULTS = 30;

/** The load rises, has risen, and goes on while the proxy is flipped. */
export type Phase = 'rising' | 'quiet' | 'flipping';

/** `failed`: no right answer began. `truncated`: it began and did not come whole. */
type FaultKind = 'failed' | 'truncated' | 'newSocketsCut' | 'noCloseFrame';

export interface Tally {
  readonly requests: number;
  readonly byKind: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<FaultKind, number>>;
  readonly said: readonly string[];
  /** Versions that answered something. */
  readonly versions: number;
  /** WebSockets and event streams that the proxy closed at a deadline, and opened in all. */
  readonly closed: number;
  readonly opened: number;
  /** Ms to the whole answer of a short request, 99th percentile, before the flips and while they go on. */
  readonly p99MsQuiet: number;
  readonly p99Ms: number;
  /** Requests that were not sent in time because this process had no time. */
  readonly skipped: number;
}

/** A fault of the answer that was got, told apart from what the network says. */
export class Wrong extends Error {
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string) {
    super(message);
    this.kind = kind;
  }

  /** The same with more words. */
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

  /** A WebSocket or an event stream that opened on a version. */
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

  /** A request that was asked and is at fault. */
  fault(kind: string, error: unknown): void {
    this.#count(kind);
    this.note(error instanceof Wrong ? error.kind : 'failed', `${kind}: ${describe(error)}`);
  }

  /** A fault of something that was counted before. */
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

/** The smallest value that `share` of all are not above; 0 when there is none. Rounded to two decimals. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return Math.round((sorted[Math.ceil(sorted.length * share) - 1] ?? 0) * 100) / 100;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error.message : `${code} ${error.message}`;
}
