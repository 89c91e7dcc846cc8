/** A host and path prefix with everything that an engine needs to serve it. Made anew at each flip. */
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
  /** From the last progress of a request to the head of the answer, ms. */
  readonly responseHeadMs: number;
  /** Silence that ends a body or a stream, ms. */
  readonly idleMs: number;
  readonly policy: Policy | null;
  /** Names and passwords, asked for after the policy. Only in the general engine. */
  readonly access: Access | null;
  readonly metrics: UpstreamMetrics;
  /** True when it has features that only the general engine knows. */
  readonly general: boolean;
}
