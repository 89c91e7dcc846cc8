/** The policy of one route: its checks in THE order, compiled once per flip and called once per request. */
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
  /** As in the route: a name, or `*.name`. */
  readonly host: string;
  /** The environment. Its routes share one request count per client. */
  readonly upstreamId: string;
}

export interface PolicyDeps {
  readonly clock: Clock;
  /** True when the host has a valid certificate (`Terminator.covers`); null: the proxy does not listen for TLS. */
  readonly hasCertificate: ((host: string) => boolean) | null;
  /** True while this HTTP-01 challenge is ours and open (`Terminator.httpChallenge`); null: no ACME. */
  readonly isOpenChallenge: ((token: string) => boolean) | null;
  /** The port on which visitors reach TLS: 443, except in tests. */
  readonly httpsPort: number;
  /** Survives flips; one per process. */
  readonly rates: ClientRates;
}

/** One concern: returns an answer in place of the app's, or null to go on. */
export type Check = (asked: Asked) => Answer | null;

/** @returns null when there is nothing to check, so that the hot path pays nothing */
export function compilePolicy(route: PolicyRoute, edge: EdgeSettings, deps: PolicyDeps): Policy | null {
  const checks = [
    // First: a refused client learns nothing, takes no memory and is not redirected.
    makeAddressCheck(edge),
    // Before the redirects: show the page at once instead of redirecting to a host that is closed too.
    makeMaintenanceCheck(edge),
    // Before the rate: a visit that is redirected to the right address counts as one request, not two.
    makeRedirectCheck(route, edge, deps),
    // Before the rate: it needs no memory, and its connection is closed.
    makeBodyCheck(edge),
    // Last: only requests that would reach the app count against a client's rate.
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
 * Lets open challenges through. The CA connects from unknown addresses, over http, and decides whether the host gets
 * its certificate, so its requests are never redirected or denied. Only tokens that we wait for count: an app that
 * answers every path with its start page would otherwise show it to visitors who may not see it. This runs only when a
 * check denies the request, so that other requests do not pay for it.
 */
function exceptChallenges(check: Check, isOpen: (token: string) => boolean): Check {
  return (asked) => {
    const answer = check(asked);
    if (answer === null) return null;
    const token = challengeToken(asked.target);
    return token !== null && isOpen(token) ? null : answer;
  };
}
