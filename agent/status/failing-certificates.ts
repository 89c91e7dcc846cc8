/** Domains whose visitors get no valid certificate, now or soon, for the hub. */
import { type FailingCertificate, MAX_FAILING_CERTIFICATES } from '../../protocol/agent-link.ts';
import { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { CertificateList, CertificateView } from '../../protocol/proxy-admin.ts';

/** ACME certificates are renewed 30 days before they expire: with 14 left, renewal keeps failing. */
const SOON_MS = 14 * 86_400_000;
/** The share of the time between due renewal and expiry that a renewal may take. */
const SHARE_FOR_RENEWAL = 1 / 4;

const CODED = /^(ORK_\w+): (.*)$/s;
const MOST_CHARACTERS = 500;

/**
 * Pure. A domain without a certificate does not count as failing if none is requested, or not yet: a host may do
 * without https.
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
 * Whether a certificate expires soon and is not about to be renewed. Some CAs issue them for a week or a day. Pure.
 * @param now ms since 1970
 */
export function endsSoon({ notAfter, renewAt, lastError }: CertificateView, now: number): boolean {
  const end = Date.parse(notAfter);
  if (end - now >= SOON_MS) return false;
  const due = renewAt === null ? end : Date.parse(renewAt);
  return isFailure(lastError) || due >= end || now >= due + (end - due) * SHARE_FOR_RENEWAL;
}

/** While an order is in progress, `lastError` says that the proxy's exit interrupted it. */
const isFailure = (lastError: string | null): boolean =>
  lastError !== null && !lastError.startsWith('ORK_INTERRUPTED:');

/** For each domain the certificate that expires last, wildcards included: a replaced one may still be in the list. */
function longestLived(certificates: readonly CertificateView[]): CertificateView[] {
  const best = new Map<string, CertificateView>();
  for (const one of certificates) if (!outlasts(best.get(one.host), one)) best.set(one.host, one);
  return [...best.values()].filter((one) => !outlasts(best.get(wildcardOf(one.host)), one));
}

const outlasts = (other: CertificateView | undefined, one: CertificateView): boolean =>
  other !== undefined && Date.parse(other.notAfter) > Date.parse(one.notAfter);

/** For a wildcard, returns the wildcard itself. */
const wildcardOf = (host: string): string => `*${host.slice(host.indexOf('.'))}`;

const endOf = (notAfter: string): string =>
  `ORK_CERTIFICATE_EXPIRED: The certificate ends ${notAfter}, and nothing has renewed it yet.`;

/** The proxy puts code and message into one string. */
function errorOf(reason: string): ErrorReport {
  const [, code, message = reason] = CODED.exec(reason) ?? [];
  const known = ErrorCode.safeParse(code);
  return {
    code: known.success ? known.data : 'ORK_CERTIFICATE_UNUSABLE',
    message: message.slice(0, MOST_CHARACTERS),
    evidence: [],
  };
}
