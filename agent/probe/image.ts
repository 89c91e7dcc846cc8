/** Probe `image`: Docker's own HEALTHCHECK reports healthy, and the port can be reached from outside the container. */
import { lastLine } from './probe.ts';
import type { Probe } from './probe.ts';
import { tryConnection } from './tcp.ts';

export const image: Probe<'image'> = {
  kind: 'image',
  async probe(_check, subject, timeoutMs, signal) {
    const { state, output } = await subject.imageHealth();
    if (state === null) return { ok: false, got: 'the image has no HEALTHCHECK' };
    const said = lastLine(output);
    if (state !== 'healthy') return { ok: false, got: `HEALTHCHECK of the image: ${state}${said && `, "${said}"`}` };
    // A HEALTHCHECK runs inside the container, so it passes for an app on loopback that the proxy could never reach.
    const reached = await tryConnection(subject, timeoutMs, signal);
    return { ok: reached.ok, got: `HEALTHCHECK of the image: healthy; ${reached.got}` };
  },
};
