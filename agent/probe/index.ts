/** Probe kinds. A new kind takes one file, one line here and one in protocol/job.ts; the compiler finds the rest. */
import type { HealthCheck } from '../../protocol/job.ts';
import { command } from './command.ts';
import { http } from './http.ts';
import { image } from './image.ts';
import type { CheckOf, Probe, ProbeKind, ProbeResult, ProbeSubject, ProbingCheck } from './probe.ts';
import { tcp } from './tcp.ts';

const PROBES: { readonly [K in ProbeKind]: Probe<K> } = { http, tcp, image, command };

/** `auto` resolved: the image's HEALTHCHECK if it has one, else HTTP GET / with any status below 500. */
export function resolveCheck(check: ProbingCheck, imageHasHealthcheck: boolean): CheckOf<ProbeKind> {
  if (check.kind !== 'auto') return check;
  return imageHasHealthcheck ? { ...check, kind: 'image' } : { ...check, kind: 'http', path: '/', status: [100, 499] };
}

/** The longest time from the start of a container until its check passes, seconds. */
export const checkSeconds = (check: HealthCheck): number =>
  check.kind === 'running' ? check.runSeconds : check.startSeconds;

/** One try with the probe of the check's kind. */
export async function tryOnce(
  check: CheckOf<ProbeKind>,
  subject: ProbeSubject,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  // PROBES pairs each kind with its probe, which the compiler cannot follow through an index.
  const probe = PROBES[check.kind] as Probe<ProbeKind>;
  return probe.probe(check, subject, timeoutMs, signal);
}

export type { ProbeResult, ProbeSubject } from './probe.ts';
