/** Paths of ACME's HTTP-01 challenges. */

const CHALLENGES = '/.well-known/acme-challenge/';
/** RFC 8555 section 8.3: base64url. Nothing that an app could take for another path: no `/`, no `.`, no `%`, no query. */
const TOKEN = /^[A-Za-z0-9_-]{1,200}$/;

/** The token that a request target asks for; null when it is another path. */
export function challengeToken(target: string): string | null {
  if (!target.startsWith(CHALLENGES)) return null;
  const token = target.slice(CHALLENGES.length);
  return TOKEN.test(token) ? token : null;
}
