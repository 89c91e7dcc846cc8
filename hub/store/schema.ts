/**
 * The tables of the hub's store, as kysely sees them. Types are those that both SQLite and PostgreSQL carry: text, integer.
 * Times are ISO 8601 UTC text, JSON is text, booleans are 0 or 1. Migrations in migrations/ make exactly this.
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
  /** When a host took the token; from then on only the same key gets the same answer again. */
  join_token_used_at: string | null;
  /** Last HostStatus, JSON; null before the first. */
  status: string | null;
  last_seen_at: string | null;
  /** Last report sequence number that is stored. */
  acknowledged: number;
  /** 0: it serves only, what it runs is built on others. */
  builds: Generated<number>;
  /** When it was told that the host is away; null: it is not, or nobody was told. */
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
  /** Grows by one with each deployment; fences stale jobs. */
  generation: number;
  /** Grows by one with each change of variables. */
  env_version: number;
  /** Grows by one with each change of routes or edge settings. */
  edge_revision: Generated<number>;
  /** The one that visitors are served by, as the host has said. */
  edge_applied: Generated<number>;
  /** ErrorReport, JSON: why the host does not serve by the newest. */
  edge_error: string | null;
  created_at: string;
}

/** Who has which host name and path. Written with the environment's settings, so that the key keeps them unique. */
interface RouteTable {
  host: string;
  path_prefix: string;
  environment_id: string;
}

/** A domain without a valid certificate, or with one that ends soon, as its host says. Deleted when it is well again. */
interface FailingCertificateTable {
  environment_id: string;
  host: string;
  /** ErrorReport, JSON. */
  error: string;
  /** End of the certificate in use; null: there is none. */
  not_after: string | null;
  since: string;
  /** When somebody was told; null: it may be over soon. */
  told_at: string | null;
}

/** app: environment of the container. build: secret of the build, and never in the app. */
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
  /** As image names begin with it: registry.example.com:5000. */
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
  /** Who asked: user id; null for a push whose pusher is gone. */
  user_id: string | null;
  /** Sealed JSON of the variables that this deployment runs with, fixed when it is sent out. */
  env: string | null;
  /** Sealed JSON of its build secrets, fixed at the same time; null for deployments of older versions. */
  build_secrets: string | null;
  env_version: number;
  /** Of the edge settings that it was sent with, at least. */
  edge_revision: Generated<number>;
  /** For rollbacks: the deployment whose release is wanted. */
  release_of: string | null;
  /** Which variables a rollback uses. */
  variables: 'current' | 'release';
  /** For skipped ones: what replaced it. */
  replaced_by: string | null;
  /** ErrorReport, JSON. */
  error: string | null;
  cancel_requested: number;
  /** Bytes of log stored; one more than the cap once the mark that the log was cut is there. */
  log_bytes: Generated<number>;
  /** 0: it is old, and what it told is gone: log, events, outputs of its steps, the variables that it ran with. */
  details_kept: Generated<number>;
  /** When the job was put on the wire first; null while waiting. */
  sent_at: string | null;
  /** The host that has its job: the environment's, or before that the one that builds for it. Null while waiting. */
  host_id: string | null;
  /** The host that builds it, where that is not the one that serves it. */
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

/** The git repository of no project: of one that is being made, or of one that was deleted and its files still have to go. */
interface StrayRepositoryTable {
  project_id: string;
}

/** An environment that is deleted here and must still go from a host. Kept until the host says that it is done. */
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

/** Order of everything that a follower of a deployment sees; the id is the SSE event id. */
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
  /** Hosts that are upgraded at the same time at most. */
  at_once: number;
  state: UpgradeState;
  created_at: string;
  /** When it was done or cancelled. */
  finished_at: string | null;
}

interface UpgradeHostTable {
  upgrade_id: string;
  host_id: string;
  /** Hosts take their turns by it. */
  position: number;
  state: HostState;
  /** ErrorReport, JSON; null unless it failed or was reverted. */
  error: string | null;
  /** What the host knows this try by; another try has another. */
  order_id: string;
  /** When its turn came, or its order went out; null: not yet. */
  turn_at: string | null;
}

/** Who is told when something goes wrong. */
interface ReceiverTable {
  id: string;
  team_id: string;
  /** Null: told of all projects of the team. */
  project_id: string | null;
  /** Unique in its project, or among those of the team. */
  name: string;
  kind: ReceiverKind;
  /** What may be shown of its address. */
  shown: string;
  /** Sealed JSON (store/receivers.ts). */
  settings: string;
  /** JSON array of kinds of notices that it is told. */
  kinds: string;
  /** Until then nothing more is sent, so that what comes meanwhile is told together. */
  quiet_until: string | null;
  created_at: string;
}

/** One message to a receiver. It has one that is collecting and one that is sending at most. */
interface DeliveryTable {
  id: string;
  receiver_id: string;
  state: DeliveryState;
  /** JSON array of notices (model/notice.ts). */
  notices: string;
  /** Notices that had no room any more. */
  left_out: Generated<number>;
  attempts: Generated<number>;
  /** When it is tried next; null: it has ended. */
  due_at: string | null;
  /** When it was tried first. */
  begun_at: string | null;
  /** ErrorReport of the last try, JSON; null when there was none or it went well. */
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
