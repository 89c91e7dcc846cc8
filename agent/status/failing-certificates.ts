/** What the hub is told of certificates: the domains whose visitors meet no valid one, or will not soon. */
import { type FailingCertificate, MAX_FAILING_CERTIFICATES } from '../../protocol/agent-link.ts';
import { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { CertificateList, CertificateView } from '../../protocol/proxy-admin.ts';

/** ACME certificates are asked for anew 30 days before their end: with 14 left something keeps failing. */
export const SOON_MS = 14 * 86_400_000;

const CODED = /^(ORK_\w+): (.*)$/s;
const MOST_CHARACTERS = 500;

/**
 * Pure. A domain without a certificate for which none is asked, or not yet, does not fail: a host may do without https.
 * @param now ms since 1970
 */
export function failingCertificates({ certificates, missing }: CertificateList, now: number): FailingCertificate[] {
  const lacking = missing.flatMap(({ host, reason }) => {
    const error = errorOf(reason);
    return error.code === 'ORK_CERTIFICATE_NONE' ? [] : [{ host, error, notAfter: null }];
  });
  const told = new Set(lacking.map(({ host }) => host));
  const ending = longestLived(certificates)
    .filter(({ host, notAfter }) => !told.has(host) && Date.parse(notAfter) - now < SOON_MS)
    .map(({ host, notAfter, lastError }) => ({ host, error: errorOf(lastError ?? endOf(notAfter)), notAfter }));
  return [...lacking, ...ending].slice(0, MAX_FAILING_CERTIFICATES);
}

/** Of each domain the certificate that ends last: one that was replaced may lie there still. */
function longestLived(certificates: readonly CertificateView[]): CertificateView[] {
  const best = new Map<string, CertificateView>();
  for (const one of certificates) {
    const known = best.get(one.host);
    if (known === undefined || Date.parse(known.notAfter) < Date.parse(one.notAfter)) best.set(one.host, one);
  }
  return [...best.values()];
}

const endOf = (notAfter: string): string =>
  `ORK_CERTIFICATE_EXPIRED: The certificate ends ${notAfter}, and nothing has renewed it yet.`;

/** The proxy tells a code and a sentence in one. */
function errorOf(reason: string): ErrorReport {
  const [, code, message = reason] = CODED.exec(reason) ?? [];
  const known = ErrorCode.safeParse(code);
  return {
    code: known.success ? known.data : 'ORK_CERTIFICATE_UNUSABLE',
    message: message.slice(0, MOST_CHARACTERS),
    evidence: [],
  };
}
