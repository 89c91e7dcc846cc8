/** Dispatches an incoming request: finds its route, applies policy and access control, and forwards it. */
import type { Context } from '../engine/context.ts';
import { APP_UNAVAILABLE, HOST_UNKNOWN, refused, TABLE_UNREADABLE } from '../http/pages.ts';
import type { Answer } from '../http/pages.ts';
import { challengeToken } from '../policy/challenge.ts';
import { ASKED_US, forwardsLeft } from '../policy/max-forwards.ts';
import type { Route } from '../routing/route.ts';
import type { Exchange } from './exchange.ts';
import type { General } from './general.ts';

export class Dispatch {
  readonly #context: Context;
  readonly #general: General;

  constructor(context: Context, general: General) {
    this.#context = context;
    this.#general = general;
  }

  /** Makes sure that the exchange gets a response. Never throws. */
  begin(exchange: Exchange): void {
    const { request, upgrade } = exchange;
    const challenge = this.#challengeAnswer(exchange);
    if (challenge !== null) return exchange.send(challenge);
    if (upgrade && request.hasBody) return exchange.refuse(refused(400, 'An upgrade has no body.'));
    const route = this.#context.plane.routesOf(request.host)?.find(request.path) ?? null;
    if (route === null) return exchange.refuse(this.#context.tableUnreadable() ? TABLE_UNREADABLE : HOST_UNKNOWN);
    exchange.route = route;
    const answer = route.policy?.judge(exchange) ?? null;
    return answer === null ? this.#checkAccess(exchange, route) : exchange.send(answer);
  }

  /** The response to a CA's HTTP-01 challenge (RFC 8555 section 8.3), for any host, since it may have no route yet. */
  #challengeAnswer({ method, target }: Exchange): Answer | null {
    const { terminator } = this.#context;
    if (terminator?.challenging !== true || (method !== 'GET' && method !== 'HEAD')) return null;
    const token = challengeToken(target);
    const body = token === null ? null : terminator.httpChallenge(token);
    if (body === null) return null;
    const headers = ['Content-Type', 'text/plain', 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'];
    return { status: 200, headers, body, code: null };
  }

  #checkAccess(exchange: Exchange, route: Route): void {
    const verdict = route.access?.judge(exchange) ?? null;
    if (verdict instanceof Promise) void this.#awaitAccess(exchange, route, verdict);
    else if (verdict === null) this.#forward(exchange, route);
    else exchange.send(verdict);
  }

  /** The client may leave while its password is being checked. */
  async #awaitAccess(exchange: Exchange, route: Route, verdict: Promise<Answer | null>): Promise<void> {
    const { res } = exchange;
    const left = (): void => exchange.conclude('abandoned');
    res.once('close', left);
    let answer: Answer | null = null;
    try {
      answer = await verdict;
    } catch (error) {
      // scrypt ran out of memory or threads, so it is unknown whether the password is right.
      exchange.noteFailure(APP_UNAVAILABLE, error, null);
      if (!res.closed) exchange.refuse(APP_UNAVAILABLE);
      return;
    } finally {
      res.off('close', left);
    }
    // Meanwhile invalid bytes after the head may have got a response, too.
    if (res.closed || res.destroyed || res.writableEnded) return;
    if (answer === null) this.#forward(exchange, route);
    else exchange.send(answer);
  }

  #forward(exchange: Exchange, route: Route): void {
    if (forwardsLeft(exchange) === 0) exchange.send(ASKED_US);
    else this.#general.forward(exchange, route);
  }
}
