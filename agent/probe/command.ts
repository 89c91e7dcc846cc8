/** Probe `command`: a command in the container exits with 0, and the port can be reached from outside. */
import { lastLine } from './probe.ts';
import type { Probe } from './probe.ts';
import { tryConnection } from './tcp.ts';

export const command: Probe<'command'> = {
  kind: 'command',
  async probe(check, subject, timeoutMs, signal) {
    const { exitCode, output } = await subject.exec(check.argv, timeoutMs);
    const said = lastLine(output);
    if (exitCode !== 0) {
      return { ok: false, got: `command ${check.argv[0]} exited with ${exitCode}${said && `, "${said}"`}` };
    }
    // As with the image's HEALTHCHECK: success inside the container does not show that the port is reachable.
    const reached = await tryConnection(subject, timeoutMs, signal);
    return { ok: reached.ok, got: `command ${check.argv[0]} exited with 0; ${reached.got}` };
  },
};
