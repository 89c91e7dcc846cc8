/** Host and path → route. The exact host wins over a wildcard; then the longest path prefix of whole segments wins. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Domain } from '../../protocol/edge.ts';

/** What the router holds. */
interface Placed {
  readonly domain: Domain;
  readonly upstream: { readonly id: string };
}

/** The routes of one host, longest prefix first. */
export interface HostRoutes<R extends Placed> {
  /**
   * @param path the request's path as sent, without query. It is not decoded: app servers differ in what they make of
   *   `%2f` or `..`, so only plain bytes may choose between two apps.
   */
  find(path: string): R | null;
  /** The only route, when it covers every path. */
  readonly whole: R | null;
}

/** Immutable; a change builds a new router and replaces the old one in one assignment. */
export interface Router<R extends Placed> {
  /** @param host as normalizeHost (host.ts) returns it */
  of(host: string): HostRoutes<R> | null;
}

/** True when `prefix` covers `path` on whole segments: `/a` covers `/a` and `/a/b`, not `/ab`. */
export function covers(prefix: string, path: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}

/**
 * @throws OrkestrError ORK_ROUTE_TAKEN when two upstreams have the same host and path prefix
 */
export function buildRouter<R extends Placed>(routes: Iterable<R>): Router<R> {
  const hosts = new Map<string, Map<string, R>>();
  for (const route of routes) {
    const { host, pathPrefix } = route.domain;
    const prefixes = hosts.get(host) ?? new Map<string, R>();
    const holder = prefixes.get(pathPrefix);
    if (holder !== undefined && holder.upstream.id !== route.upstream.id) {
      throw new OrkestrError('ORK_ROUTE_TAKEN', `${host}${pathPrefix} belongs to another environment.`, {
        evidence: [`environment ${holder.upstream.id}`],
      });
    }
    hosts.set(host, prefixes.set(pathPrefix, route));
  }
  const byHost = new Map([...hosts].map(([host, prefixes]) => [host, hostRoutes(prefixes)]));
  return {
    of: (host) => {
      const exact = byHost.get(host);
      if (exact) return exact;
      const dot = host.indexOf('.');
      return (dot > 0 ? byHost.get(`*${host.slice(dot)}`) : null) ?? null;
    },
  };
}

function hostRoutes<R extends Placed>(prefixes: ReadonlyMap<string, R>): HostRoutes<R> {
  const longestFirst = [...prefixes].toSorted(([a], [b]) => b.length - a.length);
  return {
    find: (path) => longestFirst.find(([prefix]) => covers(prefix, path))?.[1] ?? null,
    whole: longestFirst.length === 1 ? (prefixes.get('/') ?? null) : null,
  };
}
