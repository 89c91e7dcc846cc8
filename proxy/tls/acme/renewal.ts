/** When a certificate is renewed. */
import { createHash, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import type { Certificate } from '../certificate.ts';
import type { Transport } from './transport.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** When to ask a CA again that sends no Retry-After (RFC 9773 section 4.3: six hours, limits of a minute and a day). */
const ASK_AGAIN_MS = 6 * HOUR_MS;
const SOONEST_ASK_MS = 60_000;
const LATEST_ASK_MS = DAY_MS;

const IsoDate = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const RenewalInfo = z.object({ suggestedWindow: z.object({ start: IsoDate, end: IsoDate }) });
const Directory = z.object({ renewalInfo: z.url().optional() });

interface RenewalAdvice {
  /** Null: the CA does not offer it. */
  readonly window: { readonly start: string; readonly end: string } | null;
  readonly askAgainMs: number;
}

/** What is known of how a certificate was issued. */
interface Issue {
  /** By our clock. */
  readonly issuedAt: string;
  readonly window: { readonly start: string; readonly end: string } | null;
}

/**
 * At two thirds of the lifetime, or in the window that the CA suggests, but with at least a tenth of the lifetime left.
 * The certificate itself determines the point in the window: it is the same after a restart and differs between hosts.
 *
 * Never right after the issue: with a clock that is far ahead every new certificate would be due at once, and we would
 * request one after the other without end. An issue date in the future is from such a clock, which has been set since.
 *
 * @param now ms since 1970
 * @returns ms since 1970
 */
export function renewAtOf({ notBefore, notAfter, fingerprint }: Certificate, issue: Issue | null, now: number): number {
  const lifetime = notAfter - notBefore;
  const told = issue ? Date.parse(issue.issuedAt) : notBefore;
  const issuedAt = told > now ? notBefore : told;
  const share = createHash('sha256').update(fingerprint).digest().readUInt32BE() / 2 ** 32;
  if (!issue?.window) return Math.max(notBefore + lifetime * (2 / 3 - share / 20), issuedAt + lifetime / 3);
  const start = Date.parse(issue.window.start);
  const drawn = start + share * (Date.parse(issue.window.end) - start);
  return Math.max(Math.min(drawn, notAfter - lifetime / 10), issuedAt + Math.min(DAY_MS, lifetime / 6));
}

/**
 * Asks the CA when to renew a certificate (RFC 9773 section 4.2).
 *
 * @throws AcmeProblem, or a ZodError when the response is malformed
 */
export async function askRenewalInfo(
  directory: string,
  certificate: Certificate,
  transport: Transport,
): Promise<RenewalAdvice> {
  const { renewalInfo } = Directory.parse((await transport.request(directory, 'GET')).data);
  if (renewalInfo === undefined) return { window: null, askAgainMs: LATEST_ASK_MS };
  const id = await certificateIdOf(certificate);
  const { data, retryAfterMs } = await transport.request(`${renewalInfo.replace(/\/$/, '')}/${id}`, 'GET');
  const { start, end } = RenewalInfo.parse(data).suggestedWindow;
  return {
    // A window that ends before it starts must be treated as none (section 4.2).
    window: end > start ? { start: new Date(start).toISOString(), end: new Date(end).toISOString() } : null,
    askAgainMs: Math.min(Math.max(retryAfterMs ?? ASK_AGAIN_MS, SOONEST_ASK_MS), LATEST_ASK_MS),
  };
}

/** The issuer's key id and the serial number (RFC 9773 section 4.1). */
export async function certificateIdOf({ chain }: Pick<Certificate, 'chain'>): Promise<string> {
  const { authorityKeyIdOf, serialOf } = await import('../x509.ts');
  const { raw } = new X509Certificate(chain);
  return `${authorityKeyIdOf(raw).toString('base64url')}.${serialOf(raw).toString('base64url')}`;
}
