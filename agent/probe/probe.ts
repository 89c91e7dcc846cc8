/** The contract of a probe: one try at an app, with a result in words. The health step decides when and how often. */
import type { HealthCheck } from '../../protocol/job.ts';

/** Checks that probe: all but `running`, which only waits. */
export type ProbingCheck = Exclude<HealthCheck, { kind: 'running' }>;

/** Kinds that have a probe; `auto` is resolved to one of them first. */
export type ProbeKind = Exclude<ProbingCheck['kind'], 'auto'>;

export type CheckOf<K extends ProbeKind> = Extract<HealthCheck, { kind: K }>;

/** What a probe may use. */
export interface ProbeSubject {
  /** The container's own address: published ports are never used. */
  readonly address: string;
  readonly port: number;
  /** Value of the Host header: apps with an allow-list of hosts refuse a bare address. Absent: the address. */
  readonly host: string | undefined;
  /** State of Docker's own HEALTHCHECK and its last output; state null without one. */
  imageHealth(): Promise<{ state: 'starting' | 'healthy' | 'unhealthy' | null; output: string | null }>;
  /** Runs a command in the container. */
  exec(argv: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
  /** Monotonic, ms. */
  monotonic(): number;
}

export interface ProbeResult {
  readonly ok: boolean;
  /** The result in words, one line: "HTTP 500 from GET / in 3 ms". */
  readonly got: string;
}

export interface Probe<K extends ProbeKind> {
  readonly kind: K;
  /**
   * One try, finished within `timeoutMs`. A bad response is a result, not an error; only an engine that fails or an
   * aborted `signal` throws.
   */
  probe(check: CheckOf<K>, subject: ProbeSubject, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
}

/** The last non-empty line of an output, cut to fit into a message. */
export function lastLine(output: string | null): string {
  const lines = (output ?? '').split('\n').map((line) => line.trim());
  return (lines.findLast((line) => line !== '') ?? '').slice(0, 200);
}
