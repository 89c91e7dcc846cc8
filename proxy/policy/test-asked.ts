/** Requests and routes for the tests of the policies. */
import { EdgeSettings } from '../../protocol/edge.ts';
import type { Clock } from '../clock.ts';
import { ClientRates } from './client-rates.ts';
import type { PolicyDeps } from './compile.ts';
import type { Asked } from './policy.ts';

/** A plain request, except for these properties. */
export function asked(some: Partial<Omit<Asked, 'header'>> & { headers?: Record<string, string> } = {}): Asked {
  const { headers = {}, ...rest } = some;
  return {
    method: 'GET',
    host: 'app.test',
    target: '/',
    clientAddress: '198.51.100.7',
    secure: false,
    contentLength: null,
    header: (name) => headers[name],
    ...rest,
  };
}

export const edge = (some: Parameters<typeof EdgeSettings.parse>[0]): EdgeSettings => EdgeSettings.parse(some);

export const ROUTE = { host: 'app.test', upstreamId: '0192f0c1-2d3e-7f00-8000-000000000001' };

/** A clock that only the test moves. */
export class StillClock implements Clock {
  ms = 1_000_000;
  now(): Date {
    return new Date(this.ms);
  }
  monotonic(): number {
    return this.ms;
  }
}

export function deps(some: Partial<PolicyDeps> = {}): PolicyDeps {
  return {
    clock: new StillClock(),
    hasCertificate: null,
    isOpenChallenge: null,
    httpsPort: 443,
    rates: new ClientRates(),
    ...some,
  };
}

/** A field of an answer. */
export function field(headers: readonly string[], wanted: string): string | undefined {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === wanted);
  return at < 0 ? undefined : headers[at + 1];
}
