/** The job: the request that the hub signs and an agent executes. */
import { z } from 'zod';
import {
  BranchName,
  CommitSha,
  EnvVars,
  GitUrl,
  ImageRepository,
  Port,
  RepositoryPath,
  Slug,
  Timestamp,
  Uuid,
} from './ids.ts';
import { BuildHosts } from './build-hosts.ts';
import { buildSettings } from './build-settings.ts';
import { Domain, EdgeSettings, WatchRule } from './edge.ts';
import { BuildPlan, Checkout, Image, Release } from './steps.ts';

export const JOB_VERSION = 1;

/** The location of the code. `auth` travels only inside the signed job, never in argv, URLs or logs. */
export const Source = z.object({
  origin: z.enum(['hub', 'external']),
  url: GitUrl,
  branch: BranchName,
  auth: z.object({ username: z.string().max(200), token: z.string().max(2000) }).optional(),
});
export type Source = z.infer<typeof Source>;

const probeTiming = {
  /** Time from container start until healthy. */
  startSeconds: z.number().min(1).max(3600).default(60),
  /** Longest pause between two probes; soon after the start the pauses are shorter. */
  intervalSeconds: z.number().min(0.1).max(300).default(0.5),
  timeoutSeconds: z.number().min(0.1).max(60).default(5),
  /** Consecutive successes required before the flip. */
  successes: z.int().min(1).max(20).default(2),
};

/**
 * How to check that an app is ready. `auto`: the image's HEALTHCHECK if it has one, else HTTP GET / below 500.
 * `running`: only that the container runs for a while. Such an app is a background worker: nothing connects to it.
 */
export const HealthCheck = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('auto'), ...probeTiming }),
  z.object({
    kind: z.literal('http'),
    path: z
      .string()
      .max(500)
      .regex(/^\/[!-~]*$/)
      .default('/'),
    /** Accepted status codes, both ends included. */
    status: z.tuple([z.int().min(100).max(599), z.int().min(100).max(599)]).default([200, 499]),
    ...probeTiming,
  }),
  z.object({ kind: z.literal('tcp'), ...probeTiming }),
  z.object({ kind: z.literal('image'), ...probeTiming }),
  z.object({ kind: z.literal('command'), argv: z.array(z.string().min(1).max(1000)).min(1).max(50), ...probeTiming }),
  z.object({
    kind: z.literal('running'),
    /** How long it has to run without an exit before it replaces the old one. */
    runSeconds: z.number().min(1).max(3600).default(10),
  }),
]);
export type HealthCheck = z.infer<typeof HealthCheck>;

/** A background worker has no port, no domains and no visitors. */
export const isWorker = ({ healthCheck }: { readonly healthCheck: Pick<HealthCheck, 'kind'> }): boolean =>
  healthCheck.kind === 'running';

/** Linux capabilities that an environment may add to none. A closed list: none of them lets a process escape. */
const Capability = z.enum(['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'NET_BIND_SERVICE', 'SETGID', 'SETUID']);

/** Resources of the running app. */
export const Limits = z.object({
  memoryMiB: z.int().min(16).max(1_048_576).default(512),
  cpus: z.number().min(0.05).max(256).default(1),
  pids: z.int().min(16).max(32_768).default(512),
});
export type Limits = z.infer<typeof Limits>;

/** Resources of one build. */
export const BuildLimits = z.object({
  memoryMiB: z.int().min(64).max(1_048_576).default(1024),
  cpus: z.number().min(0.1).max(256).default(1),
  pids: z.int().min(32).max(32_768).default(2048),
  timeoutSeconds: z.int().min(5).max(14_400).default(900),
  /** What it may write to the disk of its slot. */
  diskMiB: z.int().min(64).max(1_048_576).default(8192),
  inodes: z.int().min(1000).max(100_000_000).default(2_000_000),
  /** Raw output of the build's commands. */
  logMiB: z.int().min(1).max(1024).default(64),
  /** Files sent to the build, after .dockerignore. */
  contextMiB: z.int().min(1).max(65_536).default(2048),
  contextFiles: z.int().min(10).max(10_000_000).default(200_000),
  imageMiB: z.int().min(1).max(1_048_576).default(8192),
});
export type BuildLimits = z.infer<typeof BuildLimits>;

/** What a user can set on an environment and a deployment needs. Every field has a default. */
export const Settings = z.object({
  domains: z.array(Domain).max(50).default([]),
  port: Port.optional(),
  rootDirectory: RepositoryPath.default('.'),
  ...buildSettings,
  healthCheck: HealthCheck.default({
    kind: 'auto',
    startSeconds: 60,
    intervalSeconds: 0.5,
    timeoutSeconds: 5,
    successes: 2,
  }),
  limits: Limits.prefault({}),
  build: BuildLimits.prefault({}),
  /** The hosts that a build may connect to; absent: the whole internet. */
  buildHosts: BuildHosts.optional(),
  /** Where built images are pushed, and pulled from if a host lacks them. Absent: they are only on their host. */
  registry: ImageRepository.optional(),
  /** Name of the host that builds. Absent: the host itself or, if it does not build, the least busy one that does. */
  buildHost: z.string().min(1).max(100).optional(),
  readOnlyRoot: z.boolean().default(false),
  capabilities: z.array(Capability).default([]),
  edge: EdgeSettings.prefault({}),
  /**
   * `overlap`: the new container starts beside the old one. `hold`: for hosts without room for two copies; requests
   * wait at the proxy while the old container stops and the new one starts.
   */
  cutover: z.enum(['overlap', 'hold']).default('overlap'),
  /** How long the old target may take to finish requests in flight. */
  drainSeconds: z.number().min(0).max(3600).default(30),
  /** How long its WebSockets, event streams and gRPC streams may last after the flip; then they are closed politely. */
  streamDrainSeconds: z.number().min(0).max(86_400).default(60),
  /** How long the new target is watched after the flip; if it goes bad, the old one serves again. 0: not at all. */
  watchSeconds: z.number().min(0).max(600).default(3),
  watch: WatchRule.prefault({}),
  /** From SIGTERM to SIGKILL. */
  stopGraceSeconds: z.int().min(0).max(600).default(10),
});
export type Settings = z.infer<typeof Settings>;

const common = {
  version: z.literal(JOB_VERSION),
  /** The deployment's id, which is also the job's idempotency key. */
  deploymentId: Uuid,
  /** A number per environment that only grows; it fences off stale jobs and flips. */
  generation: z.int().min(1),
  /** The only host that may run this job. */
  hostId: Uuid,
  issuedAt: Timestamp,
  project: z.object({ id: Uuid, slug: Slug }),
  environment: z.object({ id: Uuid, slug: Slug }),
};

/** A registry of container images: host name and port, as in image names. `docker.io` is Docker Hub. */
export const RegistryHost = z
  .string()
  .max(100)
  .regex(
    /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/,
    'a lower-case host name with an optional port, without https://',
  );
/** Login for a registry of images. Travels only inside the signed job. */
export const RegistryLogin = z.object({
  host: RegistryHost,
  username: z.string().min(1).max(200),
  password: z.string().min(1).max(4000),
});
export type RegistryLogin = z.infer<typeof RegistryLogin>;

const build = {
  source: Source,
  commit: CommitSha,
  settings: Settings,
  /** Revision of the edge settings. Absent: the hub is older and does not number them; they are always applied. */
  edgeRevision: z.int().min(0).optional(),
  env: EnvVars,
  /** For the build only, through secret mounts: in no layer, and not in the app's environment. */
  buildSecrets: EnvVars.default({}),
  registries: z.array(RegistryLogin).max(20).default([]),
  /** Remarks of the hub on the job, as lines for the build log. */
  notices: z.array(z.string().max(500)).max(20).default([]),
  /** How many images of this environment stay on the host, the live one included. */
  keepImages: z.int().min(1).max(100),
};

export const DeployJob = z.object({ ...common, kind: z.literal('deploy'), ...build });
/** Back to a release: starts at `deploy` if its image is still on the host, else at `clone` with its commit. */
export const RollbackJob = z.object({ ...common, kind: z.literal('rollback'), ...build, release: Release });
/** First half of a deployment whose host does not build: clone, analyze, build and push, on a host that does. */
export const BuildJob = z.object({ ...common, kind: z.literal('build'), ...build });
/** The result of the first half, or a release: an image in its registry, and its origin. */
export const Built = z.object({
  checkout: Checkout,
  plan: BuildPlan,
  image: Image,
  /** The deployment that released the image; absent: it was built for this one. */
  releaseOf: Uuid.optional(),
  /** The port that the release found in place of a guess. */
  foundPort: Port.nullable().default(null),
});
export type Built = z.infer<typeof Built>;
/** Second half, on the host that serves: starts at `deploy` and never builds. */
export const ServeJob = z.object({ ...common, kind: z.literal('serve'), ...build, built: Built });
/** Removes everything of an environment from the host: routes, containers, images, network. */
export const RemoveJob = z.object({ ...common, kind: z.literal('remove') });

export const Job = z.discriminatedUnion('kind', [DeployJob, RollbackJob, BuildJob, ServeJob, RemoveJob]);
export type DeployJob = z.infer<typeof DeployJob>;
export type RollbackJob = z.infer<typeof RollbackJob>;
export type BuildJob = z.infer<typeof BuildJob>;
export type ServeJob = z.infer<typeof ServeJob>;
export type RemoveJob = z.infer<typeof RemoveJob>;
export type Job = z.infer<typeof Job>;
/** Jobs that go through the pipeline. */
export type ReleaseJob = DeployJob | RollbackJob | BuildJob | ServeJob;

/** A job as it travels: the exact bytes that were signed, and the hub's ed25519 signature of them (base64). */
export const SignedJob = z.object({ payload: z.string().max(900_000), signature: z.string().max(200) });
export type SignedJob = z.infer<typeof SignedJob>;
