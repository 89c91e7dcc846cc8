/**
 * Lets a request in or not. Every route of the API says which scope it needs, or that it is public; one that says
 * neither is refused when the hub starts, so a forgotten check cannot ship.
 */
import type { FastifyRequest } from 'fastify';
import { OrkestrError } from '../../protocol/errors.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import type { Scope } from '../model/scope.ts';
import { authenticateSession, authenticateToken, checkScope } from './identity.ts';
import type { AuthDeps, Identity } from './identity.ts';
import { checkSameOrigin } from './same-origin.ts';

/** With TLS the prefix makes browsers refuse a cookie of that name which a neighbouring subdomain has set (RFC 6265bis). */
export const sessionCookieName = (hubUrl: string): string =>
  hubUrl.startsWith('https:') ? '__Host-orkestr_session' : 'orkestr_session';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope that the route needs. Set it with `requireScope`, `anyScope` or `publicRoute`. */
    scope?: Scope | 'any' | 'public';
  }
  interface FastifyRequest {
    authenticated: Identity | undefined;
    /** Who asks. @throws OrkestrError ORK_UNAUTHENTICATED on public routes. */
    readonly identity: Identity;
  }
}

/** Spread into a route's options: `app.get('/x', { ...requireScope('read'), schema }, handler)`. */
export const requireScope = (scope: Scope) => ({ config: { scope } }) as const;
/** For routes that any valid token or session may use. */
export const anyScope = { config: { scope: 'any' } } as const;
/** For the few routes that nobody needs to be known for. */
export const publicRoute = { config: { scope: 'public' } } as const;

/**
 * @param prefix below which every route has to say what it needs
 * @throws Error at the registration of one that does not
 */
export function registerAuth(app: HubApp, deps: HubDeps, prefix: string): void {
  app.decorateRequest('authenticated');
  app.decorateRequest('identity', {
    getter(this: FastifyRequest): Identity {
      if (this.authenticated === undefined) throw new OrkestrError('ORK_UNAUTHENTICATED', 'Nobody is logged in.');
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
    // Answers are for who asked, and some hold a token that is shown this once: no cache on the way keeps them.
    reply.header('cache-control', 'no-store');
    if (scope === 'public') return;
    request.authenticated = await authenticate(deps, request, deps.hubUrl());
    if (scope !== 'any') checkScope(request.authenticated, scope);
  });
}

/** Whether who asked would be let in again: a token may be revoked, and a session end, while a long answer goes on. */
export const isStillIn = async (deps: HubDeps, request: FastifyRequest): Promise<boolean> =>
  (await identify(deps, request, deps.hubUrl())) !== undefined;

async function authenticate(deps: AuthDeps, request: FastifyRequest, hubUrl: string): Promise<Identity> {
  const identity = await identify(deps, request, hubUrl);
  if (identity !== undefined) return identity;
  throw new OrkestrError('ORK_UNAUTHENTICATED', 'The token or session is missing, unknown, revoked or expired.');
}

/** A bearer token wins over a cookie: a program that sends one means it. */
const identify = async (deps: AuthDeps, request: FastifyRequest, hubUrl: string): Promise<Identity | undefined> =>
  (await byBearer(deps, request)) ?? (await byCookie(deps, request, hubUrl));

async function byBearer(deps: AuthDeps, request: FastifyRequest): Promise<Identity | undefined> {
  const token = /^Bearer ([!-~]{1,200})$/i.exec(request.headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : authenticateToken(deps, token);
}

async function byCookie(deps: AuthDeps, request: FastifyRequest, hubUrl: string): Promise<Identity | undefined> {
  const session = request.cookies[sessionCookieName(hubUrl)];
  if (request.headers.authorization !== undefined || session === undefined) return undefined;
  // Browsers send cookies by themselves, so a write must also show that it comes from the console's own pages.
  if (!['GET', 'HEAD'].includes(request.method)) checkSameOrigin(request.headers, hubUrl);
  return authenticateSession(deps, session);
}
