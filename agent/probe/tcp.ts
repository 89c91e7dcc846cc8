/** Probe `tcp`: a connection opens. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { trouble } from './http.ts';
import type { Probe, ProbeResult, ProbeSubject } from './probe.ts';

/** Opens and closes one connection. */
export async function tryConnection(
  subject: ProbeSubject,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const started = subject.monotonic();
  const deadline = AbortSignal.timeout(timeoutMs);
  const socket = connect({ host: subject.address, port: subject.port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.any([signal, deadline]) });
    const ms = Math.round(subject.monotonic() - started);
    return { ok: true, got: `port ${subject.port} accepted a connection in ${ms} ms` };
  } catch (error) {
    // A network error is this probe's result. Only an abort by the caller is thrown.
    signal.throwIfAborted();
    if (deadline.aborted) return { ok: false, got: `port ${subject.port} did not answer within ${timeoutMs} ms` };
    return { ok: false, got: `port ${subject.port}: ${trouble(error)}` };
  } finally {
    // Destroying a socket that is still connecting may emit an error that nobody handles any more.
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

export const tcp: Probe<'tcp'> = {
  kind: 'tcp',
  probe: async (_check, subject, timeoutMs, signal) => tryConnection(subject, timeoutMs, signal),
};
