/** Host and path → upstream. Exact host, then the longest path prefix that ends at a segment border. */
import { OrkestrError } from '../protocol/errors.ts';
import type { Domain } from '../protocol/job.ts';
import { HostName } from '../protocol/ids.ts';

interface Routed {
  readonly id: string;
  readonly routes: readonly Domain[];
}

export interface Router<T extends Routed> {
  /**
   * @param host as {@link normalizeHost} gives it
   * @param path the request's path as sent, without query. It is not decoded: what app servers make of `%2f` or `..`
   *   differs, so only plain bytes may choose between two apps.
   */
  find(host: string, path: string): T | null;
}

/**
 * The name in a Host header or an authority: lower case, without port and final dot. Null when it is none (RFC 9112
 * section 3.2: answered 400). An IP literal in brackets is valid but is no HostName, so no route ever has it.
 */
export function normalizeHost(authority: string): string | null {
  const literal = /^(\[[0-9A-Fa-f:.]{2,45}\])(?::\d{0,5})?$/.exec(authority)?.[1];
  if (literal !== undefined) return literal.toLowerCase();
  const [, name] = /^([^:]{1,254}?)\.?(?::\d{0,5})?$/.exec(authority) ?? [];
  const host = name?.toLowerCase();
  return host !== undefined && HostName.safeParse(host).success ? host : null;
}

/** True when `prefix` covers `path` on whole segments: `/a` covers `/a` and `/a/b`, not `/ab`. */
export function covers(prefix: string, path: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}

/**
 * An immutable router; a change builds a new one, which takes the old one's place in one assignment.
 * @throws OrkestrError ORK_ROUTE_TAKEN when two upstreams have the same host and path prefix
 */
export function buildRouter<T extends Routed>(upstreams: Iterable<T>): Router<T> {
  const hosts = new Map<string, Map<string, T>>();
  for (const upstream of upstreams) {
    for (const { host, pathPrefix } of upstream.routes) {
      const prefixes = hosts.get(host) ?? new Map<string, T>();
      const holder = prefixes.get(pathPrefix);
      if (holder !== undefined && holder.id !== upstream.id) {
        throw new OrkestrError('ORK_ROUTE_TAKEN', `${host}${pathPrefix} belongs to another environment.`, {
          evidence: [`environment ${holder.id}`],
        });
      }
      hosts.set(host, prefixes.set(pathPrefix, upstream));
    }
  }
  const longestFirst = new Map(
    [...hosts].map(([host, prefixes]) => [host, [...prefixes].toSorted(([a], [b]) => b.length - a.length)]),
  );
  return {
    find: (host, path) => longestFirst.get(host)?.find(([prefix]) => covers(prefix, path))?.[1] ?? null,
  };
}
