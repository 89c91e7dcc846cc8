/** Certificates that the proxy serves, the first to expire on top. */
import type { CertificateView } from '../../protocol/proxy-admin.ts';
import { duration } from '../lib/duration.ts';
import type { Check } from './check.ts';
import { endsSoon } from './failing-certificates.ts';

export const certificates: Check = {
  name: 'certificates',
  async run({ proxy, clock, endsTlsBefore = false }) {
    const { certificates: found, missing: lacking } = await proxy.certificates();
    const missing = endsTlsBefore ? [] : lacking;
    const left = ({ notAfter }: CertificateView): number => Date.parse(notAfter) - clock.now();
    const sorted = found.toSorted((a, b) => left(a) - left(b));
    const soon = sorted.filter((one) => endsSoon(one, clock.now()));
    return {
      level: soon.length + missing.length > 0 ? 'degraded' : 'ok',
      summary: endsTlsBefore
        ? 'https is handled by your web server'
        : `${found.length} in use, ${soon.length} about to end, ${missing.length} missing`,
      details: [
        ...missing.map(({ host, reason }) => `${host}: none, ${reason}`),
        ...sorted.map((one) => describe(one, left(one))),
      ],
      data: { certificates: sorted, missing },
    };
  },
};

function describe({ host, source, notAfter, lastError }: CertificateView, leftMs: number): string {
  const end = leftMs < 0 ? `ended ${notAfter}` : `ends ${notAfter}, in ${duration(leftMs)}`;
  return `${host} (${source}): ${end}${lastError === null ? '' : `; last try: ${lastError}`}`;
}
