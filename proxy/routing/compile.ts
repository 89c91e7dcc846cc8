/** Entry → routes, with everything compiled that a flip can decide beforehand. */
import type { Observer } from '../observe/observer.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Route } from './route.ts';

export function compileRoutes(upstream: Upstream, observer: Observer): readonly Route[] {
  const { edge, routes } = upstream.entry;
  const metrics = observer.upstream(upstream.id);
  return routes.map((domain) => ({ domain, upstream, edge, policy: null, metrics, general: false }));
}
