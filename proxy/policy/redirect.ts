/** Redirects a request, in one hop, to the host and the scheme that its environment wants. */
import type { EdgeSettings } from '../../protocol/edge.ts';
import type { Answer } from '../http/pages.ts';
import { challengeToken } from './challenge.ts';
import type { Check, PolicyDeps, PolicyRoute } from './compile.ts';
import type { Asked } from './policy.ts';

/** Without a limit clients keep 301 and 308 forever, and a wrong setting could not be taken back. */
const KEPT = 'max-age=3600';
const HTTPS_PORT = 443;

type Deps = Pick<PolicyDeps, 'hasCertificate' | 'httpsPort'>;

/** 301 or 308 to `canonicalHost`, or to https. @returns null: no request of this route needs a redirect */
export function makeRedirectCheck(
  { host: routed }: Pick<PolicyRoute, 'host'>,
  { https, canonicalHost }: EdgeSettings,
  { hasCertificate, httpsPort }: Deps,
): Check | null {
  const wrongHost = canonicalHost !== undefined && canonicalHost !== routed;
  const upgrades = https === 'only' || (https === 'auto' && hasCertificate !== null);
  if (!wrongHost && !upgrades) return null;
  const covered = hasCertificate ?? (() => false);
  return (asked) => {
    const host = canonicalHost ?? asked.host;
    const secure = asked.secure || https === 'only' || (https === 'auto' && covered(host));
    if (host === asked.host && secure === asked.secure) return null;
    // Visitors with a valid certificate here must not be sent to a host that still lacks one and would show an error.
    if (asked.secure && covered(asked.host) && !covered(host)) return null;
    if (challengeToken(asked.target) !== null) return null;
    const port = asked.secure === secure ? ownPort(asked) : explicitPort(httpsPort);
    return redirect(asked, `${secure ? 'https' : 'http'}://${host}${port}`);
  };
}

const explicitPort = (port: number): string => (port === HTTPS_PORT ? '' : `:${port}`);

/** The port that the client sent, because its next request needs it too: `:8080`, or nothing. */
function ownPort(asked: Asked): string {
  const authority = asked.header('host') ?? asked.header(':authority') ?? '';
  return /:\d{1,5}$/.exec(authority)?.[0] ?? '';
}

/**
 * 308 keeps method and body (RFC 9110 section 15.4.9). 301 does the same for GET and HEAD, and old clients know it.
 * @param origin scheme, one of our own hosts, port. The target begins with `/`, so it cannot change the host.
 */
function redirect({ method, target }: Asked, origin: string): Answer {
  const status = method === 'GET' || method === 'HEAD' ? 301 : 308;
  const headers = ['Location', origin + verbatim(target), 'Cache-Control', KEPT];
  return { status, headers, body: '', code: null };
}

/** Path and query as sent. Bytes that do not belong in a header value (raw UTF-8) are percent-encoded. */
function verbatim(target: string): string {
  return target.replace(
    /[^\x21-\x7e]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
