/** Compiles an entry into routes: what can be decided at the flip is not decided per request. */
import type { Timeouts } from '../config.ts';
import type { Observer } from '../observe/observer.ts';
import { compileAccess } from '../policy/basic-auth.ts';
import type { AccessDeps } from '../policy/basic-auth.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { PolicyDeps } from '../policy/compile.ts';
import { needsGeneral } from '../policy/general.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Route } from './route.ts';

/** Makes the routes of an entry, once per flip. */
export type CompileRoutes = (upstream: Upstream, observer: Observer) => readonly Route[];

/** @param timeouts limits of the process; a route may set shorter ones, not longer ones */
export function makeCompiler(timeouts: Timeouts, deps: PolicyDeps & AccessDeps): CompileRoutes {
  return (upstream, observer) => {
    const { id, edge, routes, canary } = upstream.entry;
    const metrics = observer.upstream(id);
    const access = compileAccess(edge, deps);
    return routes.map((domain) => ({
      domain,
      upstream,
      edge,
      metrics,
      responseHeadMs: Math.min(edge.responseSeconds * 1000, timeouts.responseHeadMs),
      idleMs: Math.min(edge.idleSeconds * 1000, timeouts.streamIdleMs),
      policy: compilePolicy({ host: domain.host, upstreamId: id }, edge, deps),
      access,
      general: needsGeneral(domain, edge, canary),
    }));
  };
}
