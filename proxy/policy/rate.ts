/** Limits the request rate of each client. */
import { clientNetwork } from '../../protocol/client-network.ts';
import type { EdgeSettings } from '../../protocol/edge.ts';
import { pageAnswer, TOO_MANY_REQUESTS } from '../http/pages.ts';
import type { Rate } from './client-rates.ts';
import type { Check, PolicyDeps, PolicyRoute } from './compile.ts';

type Deps = Pick<PolicyDeps, 'clock' | 'rates'>;

/** 429 with Retry-After for a client network that exceeds `ratePerClient`. @returns null: there is no limit */
export function makeRateCheck(
  { upstreamId }: Pick<PolicyRoute, 'upstreamId'>,
  { ratePerClient, errorPages }: EdgeSettings,
  { clock, rates }: Deps,
): Check | null {
  if (!ratePerClient) return null;
  const { requests, perSeconds, burst } = ratePerClient;
  const rate: Rate = { intervalMs: (perSeconds * 1000) / requests, atOnce: requests + burst };
  const clients = rates.of(upstreamId);
  clients.keepTo(rate, clock.monotonic());
  return (asked) => {
    const waitMs = clients.take(clientNetwork(asked.clientAddress), clock.monotonic());
    if (waitMs === 0) return null;
    const retryAfter = String(Math.ceil(waitMs / 1000));
    return pageAnswer(TOO_MANY_REQUESTS, asked.header('accept'), errorPages, ['Retry-After', retryAfter]);
  };
}
