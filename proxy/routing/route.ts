/** A host and path prefix, with everything that an engine needs to serve it. Rebuilt at each flip. */
import type { EdgeSettings } from '../../protocol/edge.ts';
import type { Domain } from '../../protocol/edge.ts';
import type { UpstreamMetrics } from '../observe/observer.ts';
import type { Access } from '../policy/basic-auth.ts';
import type { Policy } from '../policy/policy.ts';
import type { Upstream } from '../upstream/upstream.ts';

export interface Route {
  readonly domain: Domain;
  readonly upstream: Upstream;
  readonly edge: EdgeSettings;
  /** From the last progress of a request to the head of the response, ms. */
  readonly responseHeadMs: number;
  /** How long nothing may move before a body or stream is ended, ms. */
  readonly idleMs: number;
  readonly policy: Policy | null;
  /** Names and passwords, checked after the policy. Only in the general engine. */
  readonly access: Access | null;
  readonly metrics: UpstreamMetrics;
  /** True when the route has features that only the general engine supports. */
  readonly general: boolean;
}
