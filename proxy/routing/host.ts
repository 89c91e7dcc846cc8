/** The host that a request is for. */
import { HostName } from '../../protocol/ids.ts';

/**
 * The name in a Host header or an authority: lower case, without port and final dot. Null when it is invalid
 * (RFC 9112 section 3.2: answered 400). An IP literal in brackets is valid but not a HostName, so no route matches it.
 */
export function normalizeHost(authority: string): string | null {
  const literal = /^(\[[0-9A-Fa-f:.]{2,45}\])(?::\d{0,5})?$/.exec(authority)?.[1];
  if (literal !== undefined) return literal.toLowerCase();
  const [, name] = /^([^:]{1,254}?)\.?(?::\d{0,5})?$/.exec(authority) ?? [];
  const host = name?.toLowerCase();
  return host !== undefined && HostName.safeParse(host).success ? host : null;
}
