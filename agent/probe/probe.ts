/** The contract of a probe: one try at an app, told for people. When and how often is the health step's matter. */
import type { HealthCheck } from '../../protocol/job.ts';

/** Kinds that there is a probe for; `auto` is resolved to one of them before. */
export type ProbeKind = Exclude<HealthCheck['kind'], 'auto'>;

export type CheckOf<K extends ProbeKind> = Extract<HealthCheck, { kind: K }>;

/** What a probe may look at. */
export interface ProbeSubject {
  /** The container's own address: published ports are never used. */
  readonly address: string;
  readonly port: number;
  /** Value of the Host header: apps with an allow-list of hosts refuse a bare address. Absent: the address. */
  readonly host: string | undefined;
  /** Docker's own HEALTHCHECK state and its last output; state null without one. */
  imageHealth(): Promise<{ state: 'starting' | 'healthy' | 'unhealthy' | null; output: string | null }>;
  /** Run a command in the container. */
  exec(argv: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
  /** Monotonic, ms. */
  monotonic(): number;
}

export interface ProbeResult {
  readonly ok: boolean;
  /** What it got: "HTTP 500 from GET / in 3 ms". One line. */
  readonly got: string;
}

export interface Probe<K extends ProbeKind> {
  readonly kind: K;
  /**
   * One try, over within `timeoutMs`. A bad answer is a result, not an error; only an engine that fails or an aborted
   * `signal` throws.
   */
  probe(check: CheckOf<K>, subject: ProbeSubject, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
}

/** The last line of an output that says something, cut for one line of a message. */
export function lastLine(output: string | null): string {
  const lines = (output ?? '').split('\n').map((line) => line.trim());
  return (lines.findLast((line) => line !== '') ?? '').slice(0, 200);
}
