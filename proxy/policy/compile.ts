/** The policy of one route: its checks in THE order, made once per flip and asked once per request. */
import type { EdgeSettings } from '../../protocol/edge.ts';
import type { Clock } from '../clock.ts';
import type { Answer } from '../http/pages.ts';
import { makeAddressCheck } from './allow-list.ts';
import { makeBodyCheck } from './body-limit.ts';
import { challengeToken } from './challenge.ts';
import type { ClientRates } from './client-rates.ts';
import { makeMaintenanceCheck } from './maintenance.ts';
import type { Asked, Policy } from './policy.ts';
import { makeRateCheck } from './rate.ts';
import { makeRedirectCheck } from './redirect.ts';

/** What a policy is compiled for. */
export interface PolicyRoute {
  /** As routed: a name, or `*.name`. */
  readonly host: string;
  /** The environment: its routes share one count of requests per client. */
  readonly upstreamId: string;
}

export interface PolicyDeps {
  readonly clock: Clock;
  /** True when the host has a valid certificate (`Terminator.covers`); null: the proxy does not listen for TLS. */
  readonly hasCertificate: ((host: string) => boolean) | null;
  /** True while this HTTP-01 challenge is ours and open (`Terminator.httpChallenge`); null: no ACME. */
  readonly isOpenChallenge: ((token: string) => boolean) | null;
  /** The port that visitors reach TLS on: 443, but in tests. */
  readonly httpsPort: number;
  /** Kept over flips, one per process. */
  readonly rates: ClientRates;
}

/** One concern: an answer in place of the app's, or null to go on. */
export type Check = (asked: Asked) => Answer | null;

/** @returns null when there is nothing to check, so that the hot path pays nothing */
export function compilePolicy(route: PolicyRoute, edge: EdgeSettings, deps: PolicyDeps): Policy | null {
  const checks = [
    // First, so that a stranger learns nothing, fills no memory and is not sent around.
    makeAddressCheck(edge),
    // Before the redirects: one page, not a hop to a host that is closed too.
    makeMaintenanceCheck(edge),
    // Before the count: a visit that is sent to its right address is one request, not two.
    makeRedirectCheck(route, edge, deps),
    // Before the count: it needs no memory, and its connection is closed.
    makeBodyCheck(edge),
    // Last: only what would reach the app takes from a client's rate.
    makeRateCheck(route, edge, deps),
  ].filter((check) => check !== null);
  const [first, ...rest] = checks;
  if (!first) return null;
  const judge = rest.length === 0 ? first : inTurn(checks);
  return { judge: deps.isOpenChallenge ? exceptChallenges(judge, deps.isOpenChallenge) : judge };
}

function inTurn(checks: readonly Check[]): Check {
  return (asked) => {
    for (const check of checks) {
      const answer = check(asked);
      if (answer) return answer;
    }
    return null;
  };
}

/**
 * The CA comes from addresses that nobody knows, over http, and decides whether the host gets its certificate: what it
 * asks for is never redirected nor denied. Only tokens that we wait for count, since an app that answers every path
 * with its start page would otherwise show it to those who may not see it. Looked at last, when something would be
 * denied anyway, so that other requests do not pay for it.
 */
function exceptChallenges(check: Check, isOpen: (token: string) => boolean): Check {
  return (asked) => {
    const answer = check(asked);
    if (answer === null) return null;
    const token = challengeToken(asked.target);
    return token !== null && isOpen(token) ? null : answer;
  };
}
