/** Where the requests of a client's connection go: found once for its host, as long as the table and the client stay the same. */
import type { Plane } from '../plane.ts';
import type { Client } from '../policy/client-address.ts';
import { normalizeHost } from '../routing/host.ts';
import type { HostRoutes, Router } from '../routing/router.ts';
import type { Route } from '../routing/route.ts';
import type { RequestHead } from './head.ts';
import { OriginLines } from './origin.ts';

export class RouteCache {
  /** Normalised, of the last request. */
  host = '';
  /** What its target is told of who asks. */
  readonly origin = new OriginLines();
  #router: Router<Route> | null = null;
  #routes: HostRoutes<Route> | null = null;

  /**
   * @param bytes hold the head
   * @returns null: there is none, or Host is none
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
