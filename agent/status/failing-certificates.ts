/** What the hub is told of certificates: the domains whose visitors meet no valid one, or will not soon. */
import { type FailingCertificate, MAX_FAILING_CERTIFICATES } from '../../protocol/agent-link.ts';
import { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { CertificateList, CertificateView } from '../../protocol/proxy-admin.ts';

/** ACME certificates are asked for anew 30 days before their end: with 14 left something keeps failing. */
const SOON_MS = 14 * 86_400_000;
/** Of what is left when a renewal is due: how much of it the renewal may take. */
const SHARE_FOR_RENEWAL = 1 / 4;

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
    .filter((one) => !told.has(one.host) && endsSoon(one, now))
    .map(({ host, notAfter, lastError }) => ({ host, error: errorOf(lastError ?? endOf(notAfter)), notAfter }));
  return [...lacking, ...ending].slice(0, MAX_FAILING_CERTIFICATES);
}

/**
 * Whether a certificate is about to end, and nothing is about to renew it: some CAs give them for a week or a day. Pure.
 * @param now ms since 1970
 */
export function endsSoon({ notAfter, renewAt, lastError }: CertificateView, now: number): boolean {
  const end = Date.parse(notAfter);
  if (end - now >= SOON_MS) return false;
  const due = renewAt === null ? end : Date.parse(renewAt);
  return isFailure(lastError) || due >= end || now >= due + (end - due) * SHARE_FOR_RENEWAL;
}

/** While an order is under way it stands there as one that the proxy's end has cut off. */
const isFailure = (lastError: string | null): boolean =>
  lastError !== null && !lastError.startsWith('ORK_INTERRUPTED:');

/** Of each domain the certificate that ends last, also among wildcards: one that was replaced may lie there still. */
function longestLived(certificates: readonly CertificateView[]): CertificateView[] {
  const best = new Map<string, CertificateView>();
  for (const one of certificates) if (!outlasts(best.get(one.host), one)) best.set(one.host, one);
  return [...best.values()].filter((one) => !outlasts(best.get(wildcardOf(one.host)), one));
}

const outlasts = (other: CertificateView | undefined, one: CertificateView): boolean =>
  other !== undefined && Date.parse(other.notAfter) > Date.parse(one.notAfter);

/** Of a wildcard, the wildcard itself. */
const wildcardOf = (host: string): string => `*${host.slice(host.indexOf('.'))}`;

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
