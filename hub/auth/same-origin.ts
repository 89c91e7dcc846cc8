/** Prevents other sites from writing with a visitor's session (OWASP: verifying origin with standard headers). */
import type { IncomingHttpHeaders } from 'node:http';
import { OrkestrError } from '../../protocol/errors.ts';

/**
 * Browsers set `Origin` on every write and no page can forge it. It must match the origin of this hub's own URL, or the
 * host of the request (`Host`, which no page can forge either).
 * @throws OrkestrError ORK_FORBIDDEN
 */
export function checkSameOrigin(headers: IncomingHttpHeaders, hubUrl: string): void {
  const { origin, host } = headers;
  if (origin !== undefined && URL.canParse(origin)) {
    const sent = new URL(origin);
    if (sent.origin === new URL(hubUrl).origin || sent.host === host) return;
  }
  throw new OrkestrError(
    'ORK_FORBIDDEN',
    'A browser session can make changes only from the pages of this hub; use an API token instead.',
    {
      evidence: [`Origin: ${origin ?? 'none'}`],
    },
  );
}
