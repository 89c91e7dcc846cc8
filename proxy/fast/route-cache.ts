/**
 * Route lookup of a client connection, cached by host for as long as the routing table and the client stay the same.
 */
import type { Plane } from '../plane.ts';
import type { Client } from '../policy/client-address.ts';
import { normalizeHost } from '../routing/host.ts';
import type { HostRoutes, Router } from '../routing/router.ts';
import type { Route } from '../routing/route.ts';
import type { RequestHead } from './head.ts';
import { OriginLines } from './origin.ts';

export class RouteCache {
  /** Normalised host of the last request. */
  host = '';
  /** The lines that name the client to the target. */
  readonly origin = new OriginLines();
  #router: Router<Route> | null = null;
  #routes: HostRoutes<Route> | null = null;

  /**
   * @param bytes hold the head
   * @returns null: no route matches, or Host is not valid
   */
  find(bytes: Buffer, head: RequestHead, asker: Client, { router }: Plane): Route | null {
    if (router !== this.#router || !this.origin.isFor(asker, bytes, head.hostStart, head.hostEnd)) {
      const authority = bytes.toString('latin1', head.hostStart, head.hostEnd);
      const host = normalizeHost(authority);
      if (host === null) return null;
      this.origin.set(asker, authority);
      this.host = host;
      this.#router = router;
      this.#routes = router.of(host);
    }
    const routes = this.#routes;
    if (routes === null) return null;
    return routes.whole ?? routes.find(bytes.toString('latin1', head.targetStart, head.pathEnd));
  }
}
