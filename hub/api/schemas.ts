/** Request and response bodies of the REST API (`/api/v1`). The CLI and the console import their types from here. */
import { z } from 'zod';
import { DeploymentStatus, HostStatus } from '../../protocol/agent-link.ts';
import { AppLogLine } from '../../protocol/app-log.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import { ErrorReport } from '../../protocol/errors.ts';
import { BranchName, CommitSha, EnvName, EnvValue, GitUrl, Slug, Timestamp, Uuid } from '../../protocol/ids.ts';
import { RegistryHost, RegistryLogin, Settings } from '../../protocol/job.ts';
import { ReleaseVersion } from '../../protocol/release.ts';
import { Release, StepName } from '../../protocol/steps.ts';
import { DELIVERY_STATES, NOTICE_KINDS, NoticeKind, RECEIVER_KINDS } from '../model/notice.ts';
import { HOST_STATES, UPGRADE_STATES } from '../model/rollout.ts';
import { Scope } from '../model/scope.ts';
import { Step } from '../model/step.ts';

export { Scope, Step };

export const Me = z.object({
  user: z.object({ id: Uuid, email: z.string(), name: z.string() }),
  team: z.object({ id: Uuid, slug: Slug, name: z.string(), plan: z.string() }),
  scopes: z.array(Scope),
});
export type Me = z.infer<typeof Me>;

export const Token = z.object({
  id: Uuid,
  name: z.string(),
  scopes: z.array(Scope),
  createdAt: Timestamp,
  expiresAt: Timestamp.nullable(),
  lastUsedAt: Timestamp.nullable(),
});
export type Token = z.infer<typeof Token>;
export const NewToken = z.object({
  name: z.string().min(1).max(100),
  scopes: z.array(Scope).min(1),
  expiresInDays: z.int().min(1).max(3650).optional(),
});
/** The only response with a token in plain text. */
export const MadeToken = Token.extend({ token: z.string() });

/** A live app that its host reports as down. */
const DownState = z.object({
  since: Timestamp,
  error: ErrorReport,
  /** Of its last end; null: it has not ended by itself, or that is not known. */
  exitCode: z.int().nullable(),
  /** How often Docker has restarted its container. */
  restarts: z.int(),
});
export type DownState = z.infer<typeof DownState>;

export const Host = z.object({
  id: Uuid,
  name: z.string(),
  enrolled: z.boolean(),
  online: z.boolean(),
  /** It builds what it serves. */
  builds: z.boolean().default(true),
  lastSeenAt: Timestamp.nullable(),
  /** Version of the connected agent, or of the last one. */
  agentVersion: z.string().nullable(),
  /** The version that this hub serves, if the host has an older one; null: nothing to upgrade to. */
  upgradeTo: z.string().nullable(),
  /** Why its agent is refused, e.g. for its version; null: it is not. */
  refusal: ErrorReport.nullable(),
  status: HostStatus.nullable(),
  /** Live apps on it that are down, as last reported. */
  downApps: z.array(DownState.extend({ project: Slug, environment: Slug })).default([]),
});
export type Host = z.infer<typeof Host>;
/** An upgrade of a team's hosts to one version. */
export const Upgrade = z.object({
  id: Uuid,
  version: ReleaseVersion,
  /** Maximum number of hosts under way at once. */
  atOnce: z.int(),
  state: z.enum(UPGRADE_STATES),
  /** In the order of their turns. */
  hosts: z.array(z.object({ id: Uuid, name: z.string(), state: z.enum(HOST_STATES), error: ErrorReport.nullable() })),
  createdAt: Timestamp,
  finishedAt: Timestamp.nullable(),
});
export type Upgrade = z.infer<typeof Upgrade>;
/** Empty: upgrade all joined hosts that are not newer to the version that the hub serves, one at a time. */
export const NewUpgrade = z.object({
  version: ReleaseVersion.optional(),
  hosts: z.array(Uuid).min(1).max(1000).optional(),
  atOnce: z.int().min(1).max(100).default(1),
});
export const HostsToSkip = z.object({ hosts: z.array(Uuid).min(1).max(1000) });

export const NewHost = z.object({ name: z.string().min(1).max(100) });
export const HostChange = z.object({ builds: z.boolean() });
export const MadeHost = Host.extend({
  joinToken: z.string(),
  joinTokenExpiresAt: Timestamp,
  /** Shell command that installs orkestr on the host and joins it. Null: this hub serves no release. */
  installCommand: z.string().nullable(),
});

/** For an invalid record key, report its rule instead of the schema library's "Invalid key". */
const namedByRule: Parameters<typeof z.record>[2] = {
  error: (issue) => (issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined),
};

/** Name and password that visitors send to the edge. */
const UserName = EdgeSettings.shape.basicAuth.unwrap().element.shape.user;
const Password = z.string().min(8).max(200);
const namedOnce = (users: readonly { readonly user: string }[]): boolean =>
  new Set(users.map(({ user }) => user)).size === users.length;

const EdgeUsers = z.array(z.object({ user: UserName }));
export type EdgeUser = z.infer<typeof EdgeUsers>[number];

/** Settings as the API shows them: passwords are write-only. */
export const ShownSettings = Settings.extend({
  edge: EdgeSettings.extend({ basicAuth: EdgeUsers }),
});
export type ShownSettings = z.infer<typeof ShownSettings>;
/** Settings of a new environment as given, passwords in plain text. */
export const GivenSettings = Settings.extend({
  edge: EdgeSettings.extend({
    basicAuth: z
      .array(z.object({ user: UserName, password: Password }))
      .max(20)
      .refine(namedOnce, 'a user is named twice')
      .default([]),
  }).prefault({}),
});
export type GivenSettings = z.infer<typeof GivenSettings>;
/** `edge.basicAuth` in a change of settings: a user without password keeps the current one. */
export const ChangedUsers = z
  .array(z.object({ user: UserName, password: Password.optional() }))
  .max(20)
  .refine(namedOnce, 'a user is named twice');

/** Adds the named users or changes their passwords, removes those given as null, leaves the rest. */
export const AccessChange = z.object({
  users: z
    .record(UserName, Password.nullable(), namedByRule)
    .refine((users) => Object.keys(users).length <= 40, 'at most 40 users are changed at once'),
});

/**
 * Whether the domains and edge settings of an environment are in effect. `sent`: its host has not answered yet.
 * `offline`: they are sent when the host reconnects. `deployment`: the next deployment applies them, since nothing is
 * live or the host's agent is older. `failed`: the host reported an error, and tries again.
 */
export const EdgeState = z.object({
  state: z.enum(['active', 'sent', 'offline', 'deployment', 'failed']),
  error: ErrorReport.nullable(),
});
export type EdgeState = z.infer<typeof EdgeState>;

export const Environment = z.object({
  id: Uuid,
  slug: Slug,
  branch: BranchName,
  hostId: Uuid,
  settings: ShownSettings,
  edge: EdgeState,
  urls: z.array(z.string()),
  /** Domains without a usable certificate, or with one about to expire, as last reported by the host. */
  certificates: z
    .array(z.object({ host: z.string(), error: ErrorReport, notAfter: Timestamp.nullable(), since: Timestamp }))
    .default([]),
  /** The live deployment. */
  liveDeploymentId: Uuid.nullable(),
  /** Since when and why the live app is down, as last reported by the host; null: it is not, or nothing is live. */
  down: DownState.nullable().default(null),
  /** The newest deployment, whatever its status. */
  latestDeployment: z
    .object({ id: Uuid, status: DeploymentStatus, commit: CommitSha, createdAt: Timestamp })
    .nullable(),
  createdAt: Timestamp,
});
export type Environment = z.infer<typeof Environment>;
/**
 * `hostId` is optional when the team has exactly one host. Without domains, the environment gets one below the hub's
 * base domain, unless it is a background worker (`healthCheck.kind` `running`).
 */
export const NewEnvironment = z.object({
  slug: Slug,
  branch: BranchName.default('main'),
  hostId: Uuid.optional(),
  settings: GivenSettings.prefault({}),
});
/** Settings are merged into the existing ones field by field; see {@link ChangedUsers} for `edge.basicAuth`. */
export const EnvironmentChange = z.object({
  branch: BranchName.optional(),
  settings: z.record(z.string(), z.unknown()).optional(),
});

export const Project = z.object({
  id: Uuid,
  slug: Slug,
  origin: z.enum(['hub', 'external']),
  repositoryUrl: z.string().nullable(),
  /** It is read with a token, which is write-only. */
  hasRepositoryToken: z.boolean().default(false),
  /** URL to push to, for projects of the hub's own remote. */
  gitRemote: z.string().nullable(),
  environments: z.array(Environment),
  createdAt: Timestamp,
});
export type Project = z.infer<typeof Project>;
/** The frequently changing part of a project, with the ids that lead to the rest. */
export const ProjectInShort = Project.pick({ id: true, slug: true }).extend({
  environments: z.array(
    Environment.pick({
      id: true,
      slug: true,
      branch: true,
      urls: true,
      liveDeploymentId: true,
      down: true,
      latestDeployment: true,
    }),
  ),
});
export type ProjectInShort = z.infer<typeof ProjectInShort>;
const RepositoryAuth = z.object({
  username: z.string().max(200).default('git'),
  token: z.string().min(1).max(2000),
});
/** A project comes with its first environment, `production` unless named otherwise. */
export const NewProject = z.object({
  slug: Slug,
  repository: z.object({ url: GitUrl, auth: RepositoryAuth.optional() }).optional(),
  environment: NewEnvironment.prefault({ slug: 'production' }),
});
/** Omitted fields stay unchanged; `auth` null: the repository is read without a token. */
export const ProjectChange = z.object({
  repository: z.object({ url: GitUrl.optional(), auth: RepositoryAuth.nullable().optional() }),
});

/** app: environment variable of the app. build: a secret that only commands of the build see. */
const VariableKind = z.enum(['app', 'build']).default('app');
/** A variable without its value: values are write-only. */
export const Variable = z.object({ kind: VariableKind, name: EnvName, updatedAt: Timestamp });
export type Variable = z.infer<typeof Variable>;
/** Sets the named variables of the kind, removes those given as null, leaves the rest. */
export const VariableChange = z.object({
  kind: VariableKind,
  variables: z.record(EnvName, EnvValue.nullable(), namedByRule),
});

/** A registry that the project's builds log in to. Passwords are write-only. */
export const RegistryEntry = z.object({ host: RegistryHost, username: z.string(), updatedAt: Timestamp });
export type RegistryEntry = z.infer<typeof RegistryEntry>;
export const RegistryChange = RegistryLogin.omit({ host: true });

/** A message to a receiver, with a summary of its notices. */
export const Delivery = z.object({
  id: Uuid,
  state: z.enum(DELIVERY_STATES),
  notices: z.array(z.object({ kind: z.string(), at: Timestamp, summary: z.string() })),
  /** Number of notices that did not fit. */
  leftOut: z.int(),
  attempts: z.int(),
  /** Why the last attempt failed. */
  error: ErrorReport.nullable(),
  createdAt: Timestamp,
  /** Null: it has ended. */
  nextTryAt: Timestamp.nullable(),
  endedAt: Timestamp.nullable(),
});
export type Delivery = z.infer<typeof Delivery>;
/** A receiver of notifications. URLs are write-only. */
export const Receiver = z.object({
  name: Slug,
  kind: z.enum(RECEIVER_KINDS),
  /** True: belongs to the team and gets the notices of all its projects. */
  everywhere: z.boolean(),
  /** The part of its address that may be shown. */
  address: z.string(),
  notices: z.array(z.string()),
  /** The latest ones, newest first. */
  deliveries: z.array(Delivery),
  createdAt: Timestamp,
});
export type Receiver = z.infer<typeof Receiver>;
/** Defaults: named after its kind, gets all notices except successful deployments. */
export const NewReceiver = z.object({
  name: Slug.optional(),
  kind: z.enum(RECEIVER_KINDS),
  address: z.string().min(1).max(2000).describe('URL, or one e-mail address'),
  notices: z.array(NoticeKind).min(1).max(NOTICE_KINDS.length).optional(),
});
/** The only response with the secret for verifying a webhook's signatures; null for kinds that do not sign. */
export const MadeReceiver = Receiver.extend({ secret: z.string().nullable() });
export type MadeReceiver = z.infer<typeof MadeReceiver>;

const ChosenVariables = z.enum(['current', 'release']).default('current');

export const Deployment = z.object({
  id: Uuid,
  project: z.object({ id: Uuid, slug: Slug }),
  environment: z.object({ id: Uuid, slug: Slug }),
  kind: z.enum(['deploy', 'rollback']),
  trigger: z.enum(['push', 'manual', 'rollback']),
  status: DeploymentStatus,
  generation: z.int(),
  commit: CommitSha,
  branch: BranchName,
  releaseOf: Uuid.nullable(),
  /** The current variables or, for a rollback, optionally those of its release. */
  variables: ChosenVariables,
  replacedBy: Uuid.nullable(),
  error: ErrorReport.nullable(),
  /** Why a queued deployment has not started, or a running one is silent, in words. */
  waitingFor: z.string().optional(),
  /** A cancel was requested and its host has not confirmed the end yet. */
  cancelRequested: z.boolean().default(false),
  /** False: its log, events, step outputs and variables have been pruned. */
  detailsKept: z.boolean().default(true),
  urls: z.array(z.string()),
  /** Its page in the console. */
  consoleUrl: z.string(),
  createdAt: Timestamp,
  startedAt: Timestamp.nullable(),
  finishedAt: Timestamp.nullable(),
});
export type Deployment = z.infer<typeof Deployment>;
/** One deployment in full. `release` is set once it went live. */
export const DeploymentDetail = Deployment.extend({ steps: z.array(Step), release: Release.nullable() });
export type DeploymentDetail = z.infer<typeof DeploymentDetail>;
/** Empty: newest commit of the environment's branch. */
export const NewDeployment = z.object({ commit: CommitSha.optional() });
/** `giveUp`: a deployment whose host is offline ends here at once, as lost. */
export const CancelRequest = z.object({ giveUp: z.boolean().default(false) });
export const NewRollback = z.object({ variables: ChosenVariables });

/**
 * Server-sent events of `GET /deployments/:id/events`. Event ids increase; `Last-Event-ID` resumes after one. The
 * stream ends with the event `end` once the deployment has ended and everything was sent.
 */
export const DeploymentEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('status'), deployment: Deployment }),
  z.object({ kind: z.literal('step'), step: Step }),
  /** `data`: raw bytes, base64; `offset`: byte offset in the step's log. */
  z.object({ kind: z.literal('log'), step: StepName, offset: z.int(), data: z.string() }),
  z.object({ kind: z.literal('end'), status: DeploymentStatus }),
]);
export type DeploymentEvent = z.infer<typeof DeploymentEvent>;

/**
 * Server-sent events of `GET /projects/:project/environments/:environment/app-log`. Each event id holds the position in
 * the log; `Last-Event-ID` resumes after it.
 */
export const AppLogEvent = z.discriminatedUnion('kind', [
  /** The log of this deployment starts, or resumes after a break. */
  z.object({ kind: z.literal('version'), deployment: Uuid, commit: CommitSha.nullable() }),
  z.object({ kind: z.literal('lines'), deployment: Uuid, lines: z.array(AppLogLine) }),
  /** Number of lines dropped here because the client was too slow. */
  z.object({ kind: z.literal('left-out'), lines: z.int() }),
  /** Nothing follows. */
  z.object({ kind: z.literal('end'), error: ErrorReport.nullable() }),
]);
export type AppLogEvent = z.infer<typeof AppLogEvent>;
