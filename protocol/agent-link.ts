/**
 * The messages between hub and agent: JSON text frames over one WebSocket that the agent opens.
 *
 * 1. hub: `challenge`   2. agent: `hello` (proves its key, gives a counter-challenge)   3. hub: `welcome` (proves its key)
 * Then the hub sends `job`, `cancel`, `ack`; the agent sends `report`, `renew`, `status`. Reports are durable, numbered
 * and acknowledged; everything else may be lost with the connection. What may change here, and how: docs/protocol.md.
 */
import { z } from 'zod';
import { AppLogChunk, AppLogClose, AppLogCredit, AppLogEnd, AppLogOrder } from './app-log.ts';
import { ReadErrorReport } from './errors.ts';
import { Timestamp, Uuid } from './ids.ts';
import { SignedJob } from './job.ts';
import { ReleaseVersion } from './release.ts';
import { Release, StepName, StepStatus } from './steps.ts';

/** Largest frame either side accepts, bytes. */
export const MAX_FRAME_BYTES = 1_048_576;
/** Path of the WebSocket on the hub. */
export const AGENT_LINK_PATH = '/agent';
/** WebSocket close code for a connection that the same host has replaced by a newer one (RFC 6455 section 7.4.2). */
export const CLOSE_REPLACED = 4001;
/** Largest log chunk, raw bytes; base64 adds a third. */
export const MAX_LOG_CHUNK_BYTES = 65_536;

const nonce = z.string().regex(/^[A-Za-z0-9_-]{32,64}$/);
const signature = z.string().max(200);

export const DeploymentStatus = z.enum(['queued', 'running', 'live', 'superseded', 'failed', 'cancelled', 'skipped']);
export type DeploymentStatus = z.infer<typeof DeploymentStatus>;

/** Durable news of a deployment. Repeated until acknowledged, so the hub upserts. */
export const Report = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('step'),
    deploymentId: Uuid,
    step: StepName,
    status: StepStatus,
    startedAt: Timestamp,
    /** Monotonic duration; null while running. */
    ms: z.number().nullable(),
    /** The step's output (see StepOutputs) when done; a reason in words when skipped. */
    output: z.unknown().optional(),
    note: z.string().max(1000).optional(),
    error: ReadErrorReport.optional(),
  }),
  z.object({
    kind: z.literal('deployment'),
    deploymentId: Uuid,
    generation: z.int(),
    /**
     * A remove job ends `superseded`: nothing of the environment is left on the host. A build job ends `built`: the
     * image is in its registry.
     */
    status: z.enum(['running', 'built', 'live', 'failed', 'cancelled', 'superseded']),
    at: Timestamp,
    error: ReadErrorReport.optional(),
    release: Release.optional(),
    /**
     * With ORK_GENERATION_STALE: the newest generation of the environment that the host has seen. A hub restored from a
     * backup continues its numbers from there and sends the job again.
     */
    newest: z.int().optional(),
  }),
  z.object({
    kind: z.literal('log'),
    deploymentId: Uuid,
    step: StepName,
    /** Byte offset of this chunk in the step's log. */
    offset: z.int().min(0),
    /** Raw bytes, base64. */
    data: z.base64().max(90_000),
  }),
]);
export type Report = z.infer<typeof Report>;

/** The most certificates that a host reports. */
export const MAX_FAILING_CERTIFICATES = 100;

/** A domain that visitors cannot reach by https, or soon will not, and the reason. */
export const FailingCertificate = z.object({
  host: z.string().max(255),
  error: ReadErrorReport,
  /** End of the certificate in use; null: there is none. */
  notAfter: Timestamp.nullable(),
});
export type FailingCertificate = z.infer<typeof FailingCertificate>;

/** The most apps that a host reports as down. */
export const MAX_DOWN_APPS = 100;

/** A live app that does not keep running, or does not serve, although its host brings it back again and again. */
export const DownApp = z.object({
  environmentId: Uuid,
  /** The live deployment. */
  deploymentId: Uuid,
  /** Since when, by the host's clock. */
  since: Timestamp,
  /** Of its last end; null: it has not ended by itself, or nobody saw how. */
  exitCode: z.int().nullable(),
  /** How often Docker has restarted this container. */
  restarts: z.int().min(0),
  /** Without output of the app. */
  error: ReadErrorReport,
});
export type DownApp = z.infer<typeof DownApp>;

/** What a host reports about itself in every heartbeat. */
export const HostStatus = z.object({
  agentVersion: z.string().max(50),
  engine: z.object({ reachable: z.boolean(), version: z.string().nullable(), liveRestore: z.boolean().nullable() }),
  proxy: z.object({ reachable: z.boolean() }),
  cgroupVersion: z.enum(['1', '2', 'unknown']),
  memory: z.object({ totalBytes: z.number(), availableBytes: z.number() }),
  disk: z.object({ totalBytes: z.number(), availableBytes: z.number() }),
  /** Reports not yet acknowledged. */
  outbox: z.int(),
  /** Absent: the proxy does not report them, or the agent is older. */
  certificates: z.array(FailingCertificate).max(MAX_FAILING_CERTIFICATES).optional(),
  /** Absent: the agent has not watched its apps for long enough since its start, or is older. */
  downApps: z.array(DownApp).max(MAX_DOWN_APPS).optional(),
});
export type HostStatus = z.infer<typeof HostStatus>;

/** State of a host's last upgrade. The first three are intermediate, the others final. */
export const HostUpgradeState = z.enum(['fetching', 'trial', 'switching', 'healthy', 'reverted', 'failed']);
export type HostUpgradeState = z.infer<typeof HostUpgradeState>;

/** Asks a host to upgrade itself to a version that the hub offers. The same id again means the same upgrade. */
export const UpgradeOrder = z.object({ type: z.literal('upgrade'), upgradeId: Uuid, version: ReleaseVersion });
export type UpgradeOrder = z.infer<typeof UpgradeOrder>;

/**
 * State of that upgrade. Not durable: sent on each change, and once after every welcome while the host's last upgrade
 * is less than an hour old.
 */
export const UpgradeNews = z.object({
  type: z.literal('upgrade-state'),
  upgradeId: Uuid,
  version: ReleaseVersion,
  state: HostUpgradeState,
  /** Why it was reverted or failed. */
  error: ReadErrorReport.optional(),
});
export type UpgradeNews = z.infer<typeof UpgradeNews>;

/**
 * State of an environment's edge settings on a host. Not durable: sent when the hub sends settings, and again when the
 * state has changed. A hub that missed it sends its settings once more.
 */
export const EdgeNews = z.object({
  type: z.literal('edge-state'),
  environmentId: Uuid,
  /** The newest revision that the host has received. */
  revision: z.int().min(0),
  /** Why they are not in effect yet; absent: they are, or the host serves nothing of the environment. */
  error: ReadErrorReport.optional(),
});
export type EdgeNews = z.infer<typeof EdgeNews>;

export const HubMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('challenge'), nonce }),
  z.object({
    type: z.literal('welcome'),
    /** The protocol from here on: the newest version that both sides know. */
    protocol: z.int(),
    sessionId: Uuid,
    /** The last report sequence number that the hub has stored for this agent. */
    acknowledged: z.int().min(0),
    heartbeatSeconds: z.number().min(1).max(300),
    /** Over `welcomeProof(agent nonce, session id)`. */
    signature,
  }),
  z.object({ type: z.literal('job'), envelope: SignedJob, leaseSeconds: z.number() }),
  z.object({ type: z.literal('lease'), deploymentId: Uuid, leaseSeconds: z.number() }),
  z.object({ type: z.literal('cancel'), deploymentId: Uuid }),
  UpgradeOrder,
  /** New edge settings: a signed `EdgeOrder` (edge-order.ts). */
  z.object({ type: z.literal('edge'), envelope: SignedJob }),
  AppLogOrder,
  AppLogCredit,
  AppLogClose,
  /** Every report up to and including `sequence` is stored. */
  z.object({ type: z.literal('ack'), sequence: z.int().min(0) }),
  z.object({ type: z.literal('error'), code: ReadErrorReport.shape.code, message: z.string().max(2000) }),
]);
export type HubMessage = z.infer<typeof HubMessage>;

export const AgentMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    /** The oldest version that the agent speaks. A hub that knows only one version compares only this field. */
    protocol: z.int(),
    /** The newest version; absent: the same. */
    newest: z.int().optional(),
    hostId: Uuid,
    agentVersion: z.string().max(50),
    nonce,
    /** Over `helloProof(hub nonce, host id, agent nonce)`. */
    signature,
    /** Deployments that the journal has as accepted and not ended. */
    running: z.array(Uuid).max(1000),
  }),
  z.object({ type: z.literal('report'), sequence: z.int().min(1), report: Report }),
  z.object({ type: z.literal('renew'), deploymentIds: z.array(Uuid).max(1000) }),
  z.object({ type: z.literal('status'), status: HostStatus }),
  UpgradeNews,
  EdgeNews,
  AppLogChunk,
  AppLogEnd,
]);
export type AgentMessage = z.infer<typeof AgentMessage>;

/** What an agent signs to prove its key; the prefix keeps the signature from fitting anything else. */
export const helloProof = (hubNonce: string, hostId: string, agentNonce: string): string =>
  `orkestr-hello-v1\n${hubNonce}\n${hostId}\n${agentNonce}`;

/** What the hub signs to prove its key. */
export const welcomeProof = (agentNonce: string, sessionId: string): string =>
  `orkestr-welcome-v1\n${agentNonce}\n${sessionId}`;

/**
 * Body of `POST /api/v1/enrol`: a host exchanges its one-time join token for an identity. The only API body that may
 * have unknown fields, because an agent may be newer than its hub.
 */
export const EnrolRequest = z.looseObject({
  joinToken: z.string().max(200),
  name: z.string().min(1).max(100),
  /** SPKI PEM of the host's ed25519 key. The private half never leaves the host. */
  publicKey: z.string().max(400),
});
export type EnrolRequest = z.infer<typeof EnrolRequest>;
export const EnrolAnswer = z.object({ hostId: Uuid, hubPublicKey: z.string().max(400) });
export type EnrolAnswer = z.infer<typeof EnrolAnswer>;
