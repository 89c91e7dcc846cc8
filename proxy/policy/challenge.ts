/** Paths of ACME's HTTP-01 challenges. */

const CHALLENGES = '/.well-known/acme-challenge/';
/** RFC 8555 section 8.3: base64url. No `/`, `.`, `%` or query, so an app cannot take it for another path. */
const TOKEN = /^[A-Za-z0-9_-]{1,200}$/;

/** The token in a challenge's request target; null for any other path. */
export function challengeToken(target: string): string | null {
  if (!target.startsWith(CHALLENGES)) return null;
  const token = target.slice(CHALLENGES.length);
  return TOKEN.test(token) ? token : null;
}
