/** The answer of `GET /v1/certificates`: each certificate in use, and each host that lacks one, with the reason. */
import type { CertificateList } from '../../protocol/proxy-admin.ts';
import type { Acme } from './acme/open.ts';
import type { Certificate } from './certificate.ts';
import { isValidAt, names, wildcardOf } from './certificate.ts';
import type { CertificateFolder } from './certificate-folder.ts';
import type { Stapler } from './stapler.ts';

interface Viewed {
  /** The hosts that visitors use. */
  readonly hosts: readonly string[];
  /** For each host the best one first. */
  readonly certificates: readonly Certificate[];
  readonly folder: CertificateFolder | null;
  readonly acme: Acme | null;
  /** Why ACME does not work although it is configured, with the error code. */
  readonly acmeFault: string | null;
  readonly stapler: Stapler;
  /** Ms since 1970. */
  readonly now: number;
}

type Missing = CertificateList['missing'][number];

/** One entry per certificate and host, and one per host that visitors use and no certificate is valid for. */
export function viewCertificates(viewed: Viewed): CertificateList {
  const { hosts, certificates, now } = viewed;
  // Called with each heartbeat of the agent: hosts times certificates would slow visitors down.
  const valid = new Set(certificates.filter((one) => isValidAt(one, now)).flatMap((one) => one.hosts));
  const lacks = (host: string): boolean =>
    !valid.has(host) && (host.startsWith('*.') || !valid.has(wildcardOf(host) ?? ''));
  return {
    certificates: certificates.flatMap((certificate) =>
      certificate.hosts.map((host) => viewOne(certificate, host, viewed)),
    ),
    missing: hosts.filter(lacks).map((host) => ({ host, ...reasonOf(host, viewed) })),
  };
}

function viewOne(certificate: Certificate, host: string, { folder, acme, stapler, now }: Viewed) {
  const isFile = certificate.source === 'file';
  const failure = isFile ? folder?.errorOf(certificate) : (acme?.ledger.failureOf(host) ?? null);
  const error = typeof failure === 'object' && failure ? `${failure.code}: ${failure.message}` : failure;
  const renewAt = isFile ? null : (acme?.authority.renewAt(host) ?? null);
  return {
    host,
    source: certificate.source,
    issuer: certificate.issuer,
    notAfter: new Date(certificate.notAfter).toISOString(),
    renewAt: renewAt === null ? null : new Date(renewAt).toISOString(),
    lastError: error ?? (isValidAt(certificate, now) ? stapler.errorOf(certificate) : expired(certificate)),
  };
}

function reasonOf(host: string, { certificates, folder, acme, acmeFault, now }: Viewed): Omit<Missing, 'host'> {
  const retryAt = null;
  const broken = folder?.broken ?? new Map<string, string>();
  const own = broken.get(host);
  if (own !== undefined) return { reason: own, retryAt };
  const files = broken.size === 0 ? '' : ` Files that are not usable: ${[...broken.keys()].slice(0, 10).join(', ')}.`;
  if (acmeFault !== null && !host.startsWith('*.')) return { reason: acmeFault, retryAt };
  if (acme === null && acmeFault === null) {
    const old = certificates.find((one) => names(one, host) && !isValidAt(one, now));
    const reason = old ? expired(old) : `ORK_CERTIFICATE_NONE: no certificate file names this host.${files}`;
    return { reason, retryAt };
  }
  return reasonByAcme(host, acme, files);
}

/** @param files a sentence about unusable files, or '' */
function reasonByAcme(host: string, acme: Acme | null, files: string): Omit<Missing, 'host'> {
  const retryAt = null;
  if (host.startsWith('*.')) {
    return { reason: `ORK_ACME_WILDCARD: a wildcard cannot be proved by HTTP-01 or TLS-ALPN-01.${files}`, retryAt };
  }
  if (acme?.canBeAsked(host) === false) {
    return { reason: `ORK_CERTIFICATE_NONE: no CA is asked for an address or an intranet's name.${files}`, retryAt };
  }
  // First, even while it is requested again: whoever looks every minute should see one failure, not many.
  const failure = acme?.ledger.failureOf(host);
  if (failure) return { reason: `${failure.code}: ${failure.message}`, retryAt: failure.retryAt };
  if (acme?.authority.current === host) return { reason: 'ORK_CERTIFICATE_NONE: it is being asked for now.', retryAt };
  return { reason: 'ORK_CERTIFICATE_NONE: it waits for its turn to be asked for.', retryAt };
}

const expired = ({ notAfter }: Certificate): string =>
  `ORK_CERTIFICATE_EXPIRED: not valid now, its last day was ${new Date(notAfter).toISOString()}.`;
