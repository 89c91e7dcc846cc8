/** Builds the head of a request for the target. */
import { requestHeaders } from '../http/headers.ts';
import { forwardsLeft } from '../policy/max-forwards.ts';
import type { Route } from '../routing/route.ts';
import type { Exchange } from './exchange.ts';
import { withoutPrefix } from './request.ts';

/** The request target, without the part of the path that is hidden from the app. */
export function targetPath({ request }: Exchange, route: Route): string {
  const prefix = hiddenPrefix(route);
  return prefix === null ? request.target : withoutPrefix(request.target, prefix);
}

/** The fields of the request, by lower-case name. */
export function targetHeaders(exchange: Exchange, route: Route): Record<string, string | string[]> {
  const { req, request, requestId, upgrade } = exchange;
  const { clientAddress: address, secure, authority } = request;
  const origin = { address, protocol: secure ? ('https' as const) : ('http' as const), authority, requestId };
  const passage = { upgrade: upgrade !== null, hides: route.access?.hides ?? [], prefix: hiddenPrefix(route) };
  const headers = requestHeaders(req.rawHeaders, origin, passage);
  const left = forwardsLeft(exchange);
  return left === null ? headers : { ...headers, 'max-forwards': String(left - 1) };
}

function hiddenPrefix({ domain }: Route): string | null {
  const { stripPrefix = false, pathPrefix } = domain;
  return stripPrefix && pathPrefix !== '/' ? pathPrefix : null;
}
