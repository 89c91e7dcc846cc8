/**
 * The tables of the hub's store, as kysely sees them. Only types that SQLite and PostgreSQL share: text, integer. Times
 * are ISO 8601 UTC text, JSON is text, booleans are 0 or 1. The migrations in migrations/ create exactly this schema.
 */
import type { Generated, Insertable, Selectable } from 'kysely';
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import type { StepName, StepStatus } from '../../protocol/steps.ts';
import type { DeliveryState, ReceiverKind } from '../model/notice.ts';
import type { HostState, UpgradeState } from '../model/rollout.ts';

interface TeamTable {
  id: string;
  slug: string;
  name: string;
  /** Key of a plan in plans.ts: free, pro, team. */
  plan: string;
  created_at: string;
}

interface UserTable {
  id: string;
  email: string;
  name: string;
  created_at: string;
}

interface MembershipTable {
  team_id: string;
  user_id: string;
  role: 'owner' | 'member';
}

interface ApiTokenTable {
  id: string;
  team_id: string;
  user_id: string;
  name: string;
  /** SHA-256 of the token, hex. The token itself is shown once and never stored. */
  hash: string;
  /** JSON array of scopes (model/scope.ts). */
  scopes: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

/** A console login. It ends with its token. */
interface SessionTable {
  /** SHA-256 of the cookie's value, hex. */
  hash: string;
  token_id: string;
  created_at: string;
  expires_at: string;
}

interface HostTable {
  id: string;
  team_id: string;
  name: string;
  /** SPKI PEM; null until enrolled. */
  public_key: string | null;
  join_token_hash: string | null;
  join_token_expires_at: string | null;
  /** When a host used the token. Afterwards only a retry with the same key succeeds. */
  join_token_used_at: string | null;
  /** Last HostStatus, JSON; null before the first. */
  status: string | null;
  last_seen_at: string | null;
  /** Last stored sequence number of the host's reports. */
  acknowledged: number;
  /** 0: it only serves; other hosts build its images. */
  builds: Generated<number>;
  /** When a notice said that the host is offline; null: it is online, or no notice was sent. */
  away_told_at: Generated<string | null>;
  created_at: string;
}

interface ProjectTable {
  id: string;
  team_id: string;
  slug: string;
  /** hub: our own git remote; external: `repository_url`. */
  origin: 'hub' | 'external';
  repository_url: string | null;
  /** Sealed JSON {username, token}; null for public repositories. */
  repository_auth: string | null;
  created_at: string;
}

interface EnvironmentTable {
  id: string;
  project_id: string;
  slug: string;
  branch: string;
  host_id: string;
  /** Settings (protocol/job.ts), JSON. */
  settings: string;
  /** Incremented with each deployment; fences stale jobs. */
  generation: number;
  /** Incremented with each change of variables. */
  env_version: number;
  /** Incremented with each change of routes or edge settings. */
  edge_revision: Generated<number>;
  /** The revision in effect, as reported by the host. */
  edge_applied: Generated<number>;
  /** ErrorReport, JSON: why the host does not apply the newest revision. */
  edge_error: string | null;
  created_at: string;
}

/** Owner of each host name and path. Written with the environment's settings; the key ensures uniqueness. */
interface RouteTable {
  host: string;
  path_prefix: string;
  environment_id: string;
}

/**
 * A domain without a valid certificate, or with one that expires soon, as reported by its host. Deleted on recovery.
 */
interface FailingCertificateTable {
  environment_id: string;
  host: string;
  /** ErrorReport, JSON. */
  error: string;
  /** End of the certificate in use; null: there is none. */
  not_after: string | null;
  since: string;
  /** When a notice was sent; null: not yet, the failure may be brief. */
  told_at: string | null;
}

/** A live app that is down, as reported by its host. Deleted when it is back. */
interface DownAppTable {
  environment_id: string;
  deployment_id: string;
  /** ErrorReport, JSON. */
  error: string;
  exit_code: number | null;
  restarts: number;
  /** By the host's clock, and not after `heard_at`. */
  since: string;
  /** When it was reported first. */
  heard_at: string;
  /** When a notice was sent; null: not yet, it may be back soon. */
  told_at: string | null;
}

/** app: environment of the container. build: build secret, never passed to the app. */
export type VariableKind = 'app' | 'build';

interface VariableTable {
  environment_id: string;
  kind: VariableKind;
  name: string;
  /** Sealed value. */
  value: string;
  updated_at: string;
}

interface RegistryTable {
  project_id: string;
  /** As in image names: registry.example.com:5000. */
  host: string;
  username: string;
  /** Sealed. */
  password: string;
  updated_at: string;
}

export type Trigger = 'push' | 'manual' | 'rollback';

interface DeploymentTable {
  id: string;
  environment_id: string;
  kind: 'deploy' | 'rollback';
  trigger: Trigger;
  status: DeploymentStatus;
  generation: number;
  commit: string;
  branch: string;
  /** Requesting user's id; null for a push whose pusher was deleted. */
  user_id: string | null;
  /** Sealed JSON of the variables that this deployment runs with, fixed when it is sent. */
  env: string | null;
  /** Sealed JSON of its build secrets, fixed at the same time; null for deployments of older versions. */
  build_secrets: string | null;
  env_version: number;
  /** The revision of the edge settings that it was sent with, at least. */
  edge_revision: Generated<number>;
  /** For rollbacks: the deployment whose release is wanted. */
  release_of: string | null;
  /** Which variables a rollback uses. */
  variables: 'current' | 'release';
  /** For skipped deployments: the one that replaced it. */
  replaced_by: string | null;
  /** ErrorReport, JSON. */
  error: string | null;
  cancel_requested: number;
  /** Bytes of log stored; cap plus one once the log has been cut and marked. */
  log_bytes: Generated<number>;
  /** 0: its details are pruned: log, events, step outputs and variables. */
  details_kept: Generated<number>;
  /** When the job was first sent; null while waiting. */
  sent_at: string | null;
  /** The host that has the job: the building host first, then the environment's. Null while waiting. */
  host_id: string | null;
  /** The building host, if another one serves. */
  build_host_id: string | null;
  lease_expires_at: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

interface StepTable {
  deployment_id: string;
  name: StepName;
  status: StepStatus;
  started_at: string;
  ms: number | null;
  /** Step output, JSON. */
  output: string | null;
  note: string | null;
  /** ErrorReport, JSON. */
  error: string | null;
}

interface ReleaseTable {
  deployment_id: string;
  environment_id: string;
  /** Release (protocol/steps.ts), JSON. */
  release: string;
  created_at: string;
}

interface LogChunkTable {
  deployment_id: string;
  step: StepName;
  byte_offset: number;
  bytes: Uint8Array;
}

/** A git repository without a project: its project is being created, or was deleted while its files remain. */
interface StrayRepositoryTable {
  project_id: string;
}

/** A deleted environment that must still be removed from a host. Kept until the host reports that it is done. */
interface RemovalTable {
  /** Id of the remove job. */
  id: string;
  host_id: string;
  project_id: string;
  project_slug: string;
  environment_id: string;
  environment_slug: string;
  generation: number;
  created_at: string;
}

/** Event stream of a deployment for its followers; the id is the SSE event id. */
interface EventTable {
  id: Generated<number>;
  deployment_id: string;
  /** status | step | log */
  kind: string;
  /** JSON of the event as the API sends it (log events name the chunk; its bytes stay in log_chunk). */
  data: string;
}

/** An upgrade of some hosts of a team to one version. */
interface UpgradeTable {
  id: string;
  team_id: string;
  version: string;
  /** Maximum number of hosts under way at once. */
  at_once: number;
  state: UpgradeState;
  created_at: string;
  /** When it was done or cancelled. */
  finished_at: string | null;
}

interface UpgradeHostTable {
  upgrade_id: string;
  host_id: string;
  /** Order of the hosts' turns. */
  position: number;
  state: HostState;
  /** ErrorReport, JSON; null unless it failed or was reverted. */
  error: string | null;
  /** Identifies this try at the host; each try has its own. */
  order_id: string;
  /** When its turn came, or its order was sent; null: not yet. */
  turn_at: string | null;
}

/** A receiver of notifications. */
interface ReceiverTable {
  id: string;
  team_id: string;
  /** Null: gets notices of all projects of the team. */
  project_id: string | null;
  /** Unique within its project, or among those of the team. */
  name: string;
  kind: ReceiverKind;
  /** The part of its address that may be shown. */
  shown: string;
  /** Sealed JSON (store/receivers.ts). */
  settings: string;
  /** JSON array of the notice kinds that it gets. */
  kinds: string;
  /** Nothing is sent before this time, so that notices are combined. */
  quiet_until: string | null;
  created_at: string;
}

/** A message to a receiver, which has at most one collecting and one sending. */
interface DeliveryTable {
  id: string;
  receiver_id: string;
  state: DeliveryState;
  /** JSON array of notices (model/notice.ts). */
  notices: string;
  /** Number of notices that did not fit. */
  left_out: Generated<number>;
  attempts: Generated<number>;
  /** When it is tried next; null: it has ended. */
  due_at: string | null;
  /** Time of the first attempt. */
  begun_at: string | null;
  /** ErrorReport of the last attempt, JSON; null before the first and after a success. */
  error: string | null;
  created_at: string;
  ended_at: string | null;
}

export interface Database {
  team: TeamTable;
  user: UserTable;
  membership: MembershipTable;
  api_token: ApiTokenTable;
  session: SessionTable;
  host: HostTable;
  project: ProjectTable;
  environment: EnvironmentTable;
  route: RouteTable;
  failing_certificate: FailingCertificateTable;
  down_app: DownAppTable;
  variable: VariableTable;
  registry: RegistryTable;
  deployment: DeploymentTable;
  step: StepTable;
  release: ReleaseTable;
  log_chunk: LogChunkTable;
  event: EventTable;
  removal: RemovalTable;
  stray_repository: StrayRepositoryTable;
  upgrade: UpgradeTable;
  upgrade_host: UpgradeHostTable;
  receiver: ReceiverTable;
  delivery: DeliveryTable;
}

export type Row<T extends keyof Database> = Selectable<Database[T]>;
export type NewRow<T extends keyof Database> = Insertable<Database[T]>;
