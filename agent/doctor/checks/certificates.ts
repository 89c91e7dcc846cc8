/** Certificates that the proxy serves. */
import type { CertificateList, CertificateView } from '../../../protocol/proxy-admin.ts';
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import { endsTlsBefore } from '../../host-facts/edge-sockets.ts';

const DAY_MS = 86_400_000;
/** For a certificate that nothing renews, or whose renewal keeps failing. */
const SOON_DAYS = 14;

export const certificates = defineCheck({
  name: 'certificates',
  about:
    'Every domain that the proxy serves has a certificate that does not expire soon. If a web server of yours terminates TLS, its certificates are not checked.',
  problems: {
    ended: {
      level: 'fail',
      says: 'The certificate of {host} has expired: browsers refuse the site.',
      mend: 'For a certificate file, put a new NAME.crt and NAME.key into the certificates folder. For ACME, fix the problem that the evidence shows; the certificate is then requested again automatically.',
    },
    ends: {
      level: 'warn',
      says: 'The certificate of {host} expires in {days} days.',
      mend: 'For a certificate file, put a new NAME.crt and NAME.key into the certificates folder. For ACME, fix the problem that the evidence shows; the certificate is then requested again automatically.',
    },
    missing: {
      level: 'warn',
      says: '{host} has no certificate, so it is served without https.',
      mend: 'Fix the problem that the evidence shows. Most often the DNS record of {host} does not point to this host: check `getent hosts {host}`.',
    },
  },
  async gather(subject) {
    const list = await subject.proxy.certificates();
    return { list, now: subject.clock.now(), isBeside: endsTlsBefore(subject.places.root) };
  },
  judge({ list, now, isBeside }) {
    const { certificates: had, missing } = list;
    return {
      summary: `${had.length} certificates, ${isBeside ? 'https is by your web server' : `${missing.length} missing`}`,
      findings: [...had.flatMap((one) => judgeOne(one, now)), ...(isBeside ? [] : missing.map(judgeMissing))],
    };
  },
});

const judgeMissing = ({ host, reason }: CertificateList['missing'][number]): Finding<'missing'> => ({
  problem: 'missing',
  values: { host },
  evidence: [reason],
});

function judgeOne({ host, notAfter, renewAt, lastError }: CertificateView, now: number): Finding<'ended' | 'ends'>[] {
  const days = Math.floor((Date.parse(notAfter) - now) / DAY_MS);
  // Some CAs issue certificates for a week or a day: renewal is not due yet.
  const isInTime = renewAt !== null && now < Date.parse(renewAt) && Date.parse(renewAt) < Date.parse(notAfter);
  if (days >= SOON_DAYS || (days >= 0 && isInTime)) return [];
  const evidence = [`ends ${notAfter}`, ...(lastError === null ? [] : [`last try: ${lastError}`])];
  return [{ problem: days < 0 ? 'ended' : 'ends', values: { host, days }, evidence }];
}
