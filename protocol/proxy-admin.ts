/**
 * The proxy's admin API: JSON over HTTP on a unix socket (mode 0600). The agent is its only client.
 *
 *   GET    /v1/table                        → TableView
 *   POST   /v1/flip            FlipRequest  → FlipAnswer | 409 ORK_GENERATION_STALE, ORK_ROUTE_TAKEN
 *   POST   /v1/drain           DrainRequest → DrainAnswer (answers when drained or cut at the deadline)
 *   DELETE /v1/upstreams/:id                → UpstreamRemoved
 *   GET    /v1/health                       → { ok: true }
 */
import { z } from 'zod';
import { Domain } from './job.ts';
import { Port, Timestamp, Uuid } from './ids.ts';
import { TargetCount } from './steps.ts';

/** Largest request body the admin API reads, bytes. */
export const MAX_ADMIN_BODY_BYTES = 262_144;

/** A running container address. The id is the deployment's id. */
export const TargetAddress = z.object({ id: Uuid, address: z.ipv4(), port: Port });
export type TargetAddress = z.infer<typeof TargetAddress>;

export const UpstreamEntry = z.object({
  /** The environment's id. */
  id: Uuid,
  generation: z.int().min(1),
  target: TargetAddress,
  routes: z.array(Domain).max(50),
});
export type UpstreamEntry = z.infer<typeof UpstreamEntry>;

/** The persisted table: everything the proxy needs to serve after a restart. */
export const Table = z.object({ version: z.literal(1), upstreams: z.array(UpstreamEntry) });
export type Table = z.infer<typeof Table>;

export const TargetState = z.enum(['healthy', 'draining', 'gone']);
export type TargetState = z.infer<typeof TargetState>;

export const TargetView = TargetAddress.extend({ state: TargetState, inFlight: z.int(), requests: TargetCount });
export type TargetView = z.infer<typeof TargetView>;

/** The table as it is now, with counts. `targets` holds the active one first, then those that drain. */
export const TableView = z.object({
  version: z.literal(1),
  startedAt: Timestamp,
  upstreams: z.array(
    z.object({ id: Uuid, generation: z.int(), routes: z.array(Domain), targets: z.array(TargetView), failed: z.int() }),
  ),
});
export type TableView = z.infer<typeof TableView>;

/**
 * Make `entry.target` the active target of upstream `entry.id`. Compare-and-set: `expectedGeneration` is what the caller
 * saw (0: no such upstream) and `entry.generation` must be greater. Sending the same entry again is answered as the first
 * time; the same generation and target id at another address moves the target (its container got a new address).
 */
export const FlipRequest = z.object({ entry: UpstreamEntry, expectedGeneration: z.int().min(0) });
export type FlipRequest = z.infer<typeof FlipRequest>;

export const FlipAnswer = z.object({
  generation: z.int(),
  flippedAt: Timestamp,
  /** False when this very flip had been done before. */
  changed: z.boolean(),
  previous: z.object({ targetId: Uuid, inFlight: z.int(), requests: TargetCount }).nullable(),
});
export type FlipAnswer = z.infer<typeof FlipAnswer>;

/** Wait until a target that no longer is active has nothing in flight; at the deadline cut what is left. */
export const DrainRequest = z.object({
  upstreamId: Uuid,
  targetId: Uuid,
  deadlineSeconds: z.number().min(0).max(3600),
});
export type DrainRequest = z.infer<typeof DrainRequest>;

export const DrainAnswer = z.object({
  /** False: the proxy does not know this target (restarted since); there is nothing to wait for. */
  known: z.boolean(),
  ms: z.number(),
  /** Connections cut at the deadline. */
  forced: z.int(),
  requests: TargetCount,
});
export type DrainAnswer = z.infer<typeof DrainAnswer>;

export const UpstreamRemoved = z.object({ removed: z.boolean(), targetIds: z.array(Uuid) });
export type UpstreamRemoved = z.infer<typeof UpstreamRemoved>;
