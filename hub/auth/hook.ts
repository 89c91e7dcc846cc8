/**
 * Authenticates and authorizes requests. Every route of the API declares the scope it needs, or that it is public. A
 * route that declares neither stops the hub at startup, so a forgotten check cannot ship.
 */
import type { FastifyRequest } from 'fastify';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import type { Scope } from '../model/scope.ts';
import { authenticateSession, authenticateToken, checkScope } from './identity.ts';
import type { AuthDeps, Identity } from './identity.ts';
import { checkSameOrigin } from './same-origin.ts';

/** With TLS, the prefix makes browsers reject a cookie of that name set by a sibling subdomain (RFC 6265bis). */
export const sessionCookieName = (hubUrl: string): string =>
  hubUrl.startsWith('https:') ? '__Host-orkestr_session' : 'orkestr_session';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route needs one of these scopes. Set it with `requireScope`, `anyScope` or `publicRoute`. */
    scope?: readonly Scope[] | 'any' | 'public';
  }
  interface FastifyRequest {
    authenticated: Identity | undefined;
    /** The authenticated client. @throws OrkestrError ORK_UNAUTHENTICATED on public routes. */
    readonly identity: Identity;
  }
}

/**
 * Spread into a route's options: `app.get('/x', { ...requireScope('read'), schema }, handler)`. One of several scopes
 * is enough.
 */
export const requireScope = (...scope: readonly [Scope, ...Scope[]]) => ({ config: { scope } }) as const;
/**
 * For a single deployment by its id, which cannot be guessed: a client that may start and cancel it may also follow it,
 * so that a token for CI needs no read access to the whole team.
 */
export const mayFollow = requireScope('read', 'deploy');
/** For routes that accept any valid token or session. */
export const anyScope = { config: { scope: 'any' } } as const;
/** For the few routes without authentication. */
export const publicRoute = { config: { scope: 'public' } } as const;

/**
 * @param prefix path below which every route must declare its access
 * @throws Error when a route that does not is registered
 */
export function registerAuth(app: HubApp, deps: HubDeps, prefix: string): void {
  app.decorateRequest('authenticated');
  app.decorateRequest('identity', {
    getter(this: FastifyRequest): Identity {
      if (this.authenticated === undefined) throw new OrkestrError('ORK_UNAUTHENTICATED', 'You are not logged in.');
      return this.authenticated;
    },
  });
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith(prefix) && route.config?.scope === undefined) {
      throw new Error(`Route ${String(route.method)} ${route.url} says none of requireScope, anyScope, publicRoute.`);
    }
  });
  app.addHook('onRequest', async (request, reply) => {
    const { scope } = request.routeOptions.config;
    if (scope === undefined) return;
    // Responses are for this client only, and some contain a token that is shown once: no cache may store them.
    reply.header('cache-control', 'no-store');
    if (scope === 'public') return;
    request.authenticated = await authenticate(deps, request, deps.hubUrl());
    if (scope !== 'any') checkScope(request.authenticated, ...scope);
  });
}

/** Whether the client is still authenticated: its token may be revoked, or its session end, during a long response. */
export const isStillIn = async (deps: HubDeps, request: FastifyRequest): Promise<boolean> =>
  (await identify(deps, request, deps.hubUrl())) !== undefined;

async function authenticate(deps: AuthDeps, request: FastifyRequest, hubUrl: string): Promise<Identity> {
  const identity = await identify(deps, request, hubUrl);
  if (identity !== undefined) return identity;
  throw new OrkestrError('ORK_UNAUTHENTICATED', 'The token or session is missing, unknown, revoked or expired.');
}

/** A bearer token takes precedence over a cookie: a program sends it deliberately. */
const identify = async (deps: AuthDeps, request: FastifyRequest, hubUrl: string): Promise<Identity | undefined> =>
  (await byBearer(deps, request)) ?? (await byCookie(deps, request, hubUrl));

async function byBearer(deps: AuthDeps, request: FastifyRequest): Promise<Identity | undefined> {
  const token = /^Bearer ([!-~]{1,200})$/i.exec(request.headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : authenticateToken(deps, token);
}

async function byCookie(deps: AuthDeps, request: FastifyRequest, hubUrl: string): Promise<Identity | undefined> {
  const session = request.cookies[sessionCookieName(hubUrl)];
  if (request.headers.authorization !== undefined || session === undefined) return undefined;
  // Browsers send cookies by themselves, so a write must also prove that it comes from the console's own pages.
  if (!['GET', 'HEAD'].includes(request.method)) checkSameOrigin(request.headers, hubUrl);
  return authenticateSession(deps, session);
}
