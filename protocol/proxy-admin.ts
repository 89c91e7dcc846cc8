/**
 * The proxy's admin API: JSON over HTTP on a unix socket (mode 0600). The agent is its only client.
 *
 *   GET    /v1/table                            → TableView
 *   POST   /v1/flip              FlipRequest    → FlipAnswer | 409 ORK_GENERATION_STALE, ORK_ROUTE_TAKEN
 *   POST   /v1/flip-back         FlipBackRequest → FlipAnswer | 409 ORK_GENERATION_STALE, ORK_CONFLICT (unknown by now)
 *   POST   /v1/edge              EdgeRequest    → EdgeAnswer | 409 ORK_GENERATION_STALE, ORK_ROUTE_TAKEN
 *   POST   /v1/drain             DrainRequest   → DrainAnswer (answers when drained or closed at the deadlines)
 *   POST   /v1/watch             WatchRequest   → WatchAnswer (answers when the target goes bad, or at the end of the window)
 *   POST   /v1/hold              HoldRequest    → HoldAnswer
 *   POST   /v1/resume            ResumeRequest  → HoldAnswer
 *   POST   /v1/canary            CanaryRequest  → FlipAnswer
 *   GET    /v1/upstreams/:id/receipt            → FlipReceipt (of the last flip)
 *   DELETE /v1/upstreams/:id                    → UpstreamRemoved
 *   GET    /v1/certificates                     → CertificateList
 *   POST   /v1/certificates/retry RetryRequest  → RetryAnswer | 404 ORK_NOT_FOUND
 *   GET    /v1/metrics                          → Prometheus text format
 *   POST   /v1/hand-over         HandOverRequest → HandOverAnswer | 500 ORK_PROXY_HAND_OVER (nothing has changed then)
 *   GET    /v1/health                           → HealthAnswer | 500 ORK_TABLE_UNREADABLE
 */
import { z } from 'zod';
import { Domain, EdgeSettings, WatchRule } from './edge.ts';
import { FlipCounts, StreamCount, TargetCount } from './flip-counts.ts';
import { HostName, Port, Timestamp, Uuid } from './ids.ts';

/** Largest request body that the admin API reads, bytes: an entry with all its pages. */
export const MAX_ADMIN_BODY_BYTES = 524_288;

/** The address of a running container. The id is the deployment's; all copies of a deployment share it. */
export const TargetAddress = z.object({ id: Uuid, address: z.ipv4(), port: Port });
export type TargetAddress = z.infer<typeof TargetAddress>;

/** The addresses of one target: all its copies. */
const Copies = z.array(TargetAddress).min(1).max(16).refine(sameId, 'all copies have the id of one deployment');

function sameId(targets: readonly { id: string }[]): boolean {
  return targets.every(({ id }) => id === targets[0]?.id);
}

/** A second deployment that gets some of the requests. */
export const Canary = z.object({
  targets: Copies,
  /** Share of the clients, percent. */
  weightPercent: z.number().min(0).max(100),
  /** Requests with this cookie, `name=value`, always go to the canary. */
  cookie: z
    .string()
    .max(200)
    .regex(/^[A-Za-z0-9_-]+=[A-Za-z0-9_-]+$/)
    .optional(),
});
export type Canary = z.infer<typeof Canary>;

export const UpstreamEntry = z.object({
  /** The environment's id. */
  id: Uuid,
  generation: z.int().min(1),
  /** The active target: one deployment, with one or more copies. */
  targets: Copies,
  canary: Canary.optional(),
  routes: z.array(Domain).max(50),
  edge: EdgeSettings.prefault({}),
});
export type UpstreamEntry = z.infer<typeof UpstreamEntry>;

/** The persisted table: everything the proxy needs to serve after a restart. */
export const Table = z.object({ version: z.literal(1), upstreams: z.array(UpstreamEntry) });
export type Table = z.infer<typeof Table>;

export const TargetState = z.enum(['healthy', 'draining', 'gone']);
export type TargetState = z.infer<typeof TargetState>;

export const TargetView = TargetAddress.extend({
  state: TargetState,
  inFlight: z.int(),
  /** How many of `inFlight` are WebSockets, event streams or gRPC streams. */
  streams: z.int(),
  requests: TargetCount,
  /** Requests whose client left before the response was complete. */
  abandoned: z.int().default(0),
  /** Responses of the app with status 500 and above. */
  errors: z.int(),
  /** Passed over for now, because it refused connections. */
  suspended: z.boolean(),
});
export type TargetView = z.infer<typeof TargetView>;

/** The current table, with counts. `targets` lists the active ones first, then the canary's, then the draining ones. */
export const TableView = z.object({
  version: z.literal(1),
  startedAt: Timestamp,
  upstreams: z.array(
    z.object({
      id: Uuid,
      generation: z.int(),
      routes: z.array(Domain),
      edge: EdgeSettings,
      targets: z.array(TargetView),
      /** Requests that the proxy answered 502, 503 or 504, or whose response broke off. */
      failed: z.int(),
      /** Requests that wait in a hold; null when there is none. */
      held: z.int().nullable(),
      canary: z.object({ targetId: Uuid, weightPercent: z.number(), cookie: z.string().nullable() }).nullable(),
    }),
  ),
});
export type TableView = z.infer<typeof TableView>;
export type UpstreamView = TableView['upstreams'][number];

/**
 * Makes `entry.targets` the active ones of upstream `entry.id`. Compare-and-set: `expectedGeneration` is what the
 * caller saw (0: no such upstream), and `entry.generation` must be greater. A repeated entry gets the answer of the
 * first time. The same generation and target id at another address moves the target (its container got a new address).
 * That is not a new flip, so answer and receipt stay those of the original. Other routes or settings are applied too:
 * they are newer, because only the deployment itself sends its generation. A flip ends a hold, and a canary that the
 * entry does not name.
 */
export const FlipRequest = z.object({ entry: UpstreamEntry, expectedGeneration: z.int().min(0) });
export type FlipRequest = z.infer<typeof FlipRequest>;

export const FlipAnswer = z.object({
  generation: z.int(),
  flippedAt: Timestamp,
  /** False when this flip had been made before. */
  changed: z.boolean(),
  previous: z.object({ targetId: Uuid, inFlight: z.int(), streams: z.int(), requests: TargetCount }).nullable(),
});
export type FlipAnswer = z.infer<typeof FlipAnswer>;

/**
 * Back to the target that the last flip replaced, while its container still runs. The generation stays: the flip taken
 * back cannot be repeated (its `expectedGeneration` is older), and the next deployment's generation is greater.
 */
export const FlipBackRequest = z.object({ upstreamId: Uuid, expectedGeneration: z.int().min(1), targetId: Uuid });
export type FlipBackRequest = z.infer<typeof FlipBackRequest>;

/**
 * New routes and settings for what is served. Not a flip: targets, holds, drains, receipts and the app's protocol stay.
 * Compare-and-set on the generation, which stays. The entry that a flip-back would restore gets the same settings.
 */
export const EdgeRequest = z.object({
  upstreamId: Uuid,
  expectedGeneration: z.int().min(1),
  routes: UpstreamEntry.shape.routes,
  edge: UpstreamEntry.shape.edge,
});
export type EdgeRequest = z.infer<typeof EdgeRequest>;

export const EdgeAnswer = z.object({
  /** False when the table already had them. */
  changed: z.boolean(),
});
export type EdgeAnswer = z.infer<typeof EdgeAnswer>;

/**
 * Waits until a target that is no longer active has nothing in flight. Plain requests are cut at `deadlineSeconds`.
 * Streams (WebSocket, Server-Sent Events, gRPC) continue until `streamDeadlineSeconds`. Then they are closed as their
 * protocol prescribes, spread evenly over `spreadSeconds` so that their clients do not all reconnect at once.
 */
export const DrainRequest = z.object({
  upstreamId: Uuid,
  targetId: Uuid,
  deadlineSeconds: z.number().min(0).max(3600),
  /** From the start of the drain; not before `deadlineSeconds`. */
  streamDeadlineSeconds: z.number().min(0).max(86_400).default(0),
  spreadSeconds: z.number().min(0).max(600).default(0),
});
export type DrainRequest = z.infer<typeof DrainRequest>;

export const DrainAnswer = z.object({
  /** False: the proxy does not know this target (restarted since); there is nothing to wait for. */
  known: z.boolean(),
  ms: z.number(),
  /** Plain requests cut at the deadline. */
  forced: z.int(),
  streams: StreamCount,
  requests: TargetCount,
});
export type DrainAnswer = z.infer<typeof DrainAnswer>;

/** Watches the active target for a while. */
export const WatchRequest = WatchRule.extend({
  upstreamId: Uuid,
  targetId: Uuid,
  seconds: z.number().min(0).max(3600),
});
export type WatchRequest = z.infer<typeof WatchRequest>;

export const WatchAnswer = z.object({
  /** `replaced`: another target has become active. */
  verdict: z.enum(['good', 'refuses', 'errors', 'replaced']),
  /** One sentence with the numbers. */
  reason: z.string(),
});
export type WatchAnswer = z.infer<typeof WatchAnswer>;

/**
 * New requests wait instead of being sent on: for hosts without room for two copies. They go on at `resume` or at the
 * next flip; beyond one of the limits they get 503 with Retry-After.
 */
export const HoldRequest = z.object({
  upstreamId: Uuid,
  maxRequests: z.int().min(1).max(100_000).default(1000),
  /** Total size of held requests in memory. */
  maxBytes: z.int().min(0).max(1_073_741_824).default(16_777_216),
  maxSeconds: z.number().min(0.1).max(600).default(30),
});
export type HoldRequest = z.infer<typeof HoldRequest>;

export const ResumeRequest = z.object({ upstreamId: Uuid });
export type ResumeRequest = z.infer<typeof ResumeRequest>;

export const HoldAnswer = z.object({ held: z.int(), changed: z.boolean() });
export type HoldAnswer = z.infer<typeof HoldAnswer>;

/** Null ends the canary. Compare-and-set on the generation, which stays. */
export const CanaryRequest = z.object({
  upstreamId: Uuid,
  expectedGeneration: z.int().min(1),
  canary: Canary.nullable(),
});
export type CanaryRequest = z.infer<typeof CanaryRequest>;

/** What is known so far about an upstream's last flip. Final once its drain has been answered. */
export const FlipReceipt = FlipCounts.extend({ generation: z.int(), flippedAt: Timestamp });
export type FlipReceipt = z.infer<typeof FlipReceipt>;

export const UpstreamRemoved = z.object({ removed: z.boolean(), targetIds: z.array(Uuid) });
export type UpstreamRemoved = z.infer<typeof UpstreamRemoved>;

export const CertificateView = z.object({
  host: z.string(),
  source: z.enum(['acme', 'file']),
  issuer: z.string(),
  notAfter: Timestamp,
  /** When it is renewed; null for files. */
  renewAt: Timestamp.nullable(),
  /** Why the last try failed, with the error code. */
  lastError: z.string().nullable(),
});
export type CertificateView = z.infer<typeof CertificateView>;
export const CertificateList = z.object({
  certificates: z.array(CertificateView),
  /** Hosts of the table without a certificate, each with the reason. */
  missing: z.array(z.object({ host: z.string(), reason: z.string(), retryAt: Timestamp.nullable() })),
});
export type CertificateList = z.infer<typeof CertificateList>;

/** Ask a CA now for the certificate of a host that waits after a failure, regardless of how long it should wait. */
export const RetryRequest = z.object({ host: HostName });
export type RetryRequest = z.infer<typeof RetryRequest>;
/** False: the host does not wait, has a certificate, or is being requested now. The list shows the outcome. */
export const RetryAnswer = z.object({ changed: z.boolean() });
export type RetryAnswer = z.infer<typeof RetryAnswer>;

export const HealthAnswer = z.object({
  ok: z.literal(true),
  /** The proxy's version; proxies before 0.2 do not report it. */
  version: z.string().optional(),
});
export type HealthAnswer = z.infer<typeof HealthAnswer>;

/**
 * Starts a successor that takes over the listening sockets, the table and this socket without a refused connection. The
 * old proxy then drains and exits. SIGUSR2 does the same.
 */
export const HandOverRequest = z.object({
  /** The program to start instead of the current one, after an upgrade. */
  execPath: z.string().startsWith('/').max(4096).optional(),
  /** Its arguments, instead of the current ones. */
  args: z.array(z.string().max(4096)).max(50).optional(),
});
export type HandOverRequest = z.infer<typeof HandOverRequest>;

/** Sent once the successor serves. */
export const HandOverAnswer = z.object({ pid: z.int() });
export type HandOverAnswer = z.infer<typeof HandOverAnswer>;
