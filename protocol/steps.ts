/** The outputs of the pipeline's steps. Stored in the agent's journal and the hub's store, and shown to users. */
import { z } from 'zod';
import { BuildArgs, StageName } from './build-settings.ts';
import { FlipCounts } from './flip-counts.ts';
import { CommitSha, ImageId, ImageReference, Port, RepositoryPath, Timestamp, Uuid } from './ids.ts';

/** The seven steps in order. Their names are stored: never rename, never reuse. */
export const STEP_NAMES = ['clone', 'analyze', 'build', 'deploy', 'health', 'cutover', 'finalize'] as const;
export const StepName = z.enum(STEP_NAMES);
export type StepName = z.infer<typeof StepName>;

/**
 * The steps up to an image: all that a host does that builds for another one. A release keeps their outputs, so a
 * rollback whose image is still available skips them.
 */
export const STEPS_OF_A_BUILD = ['clone', 'analyze', 'build'] as const satisfies readonly StepName[];
export const isStepOfABuild = (name: StepName): boolean => (STEPS_OF_A_BUILD as readonly StepName[]).includes(name);

export const Checkout = z.object({
  commit: CommitSha,
  /** First line of the commit message and its author, for people. Cut to 200 characters. */
  subject: z.string(),
  author: z.string(),
  files: z.int(),
  bytes: z.int(),
  /** When the commit was made; images get this as the time of its files. */
  committedAt: Timestamp.optional(),
});
export type Checkout = z.infer<typeof Checkout>;

/** In place of the checkout of a commit that is not cloned. */
export const emptyCheckout = (commit: string): Checkout => ({ commit, subject: '', author: '', files: 0, bytes: 0 });

/** One fact about a repository and its source. As in: start command, `node server.js`, "package.json scripts.start" */
export const Evidence = z.object({
  subject: z.enum([
    'framework',
    'runtime',
    'version',
    'packageManager',
    'app',
    'dockerfile',
    'install',
    'build',
    'start',
    'output',
    'port',
  ]),
  value: z.string(),
  from: z.string(),
});
export type Evidence = z.infer<typeof Evidence>;

/** How sure a detector is. `stated`: a person said so; `guess`: there is an index.html. */
export const CONFIDENCES = ['guess', 'likely', 'certain', 'stated'] as const;
export const Confidence = z.enum(CONFIDENCES);
export type Confidence = z.infer<typeof Confidence>;

export const BuildPlan = z.object({
  detector: z.string(),
  /** Version of orkestr whose detectors made the plan. */
  detectorVersion: z.string().max(100).optional(),
  confidence: Confidence.default('certain'),
  framework: z.string(),
  runtime: z.string(),
  /** Version of the runtime in the base image; absent for a Dockerfile of the repository. */
  version: z.string().optional(),
  /** Absent if no source names one: then EXPOSE of the built image decides, else 8080. */
  port: Port.optional(),
  /** The port is a default or a guess, and the only other port that the app opens may replace it. */
  portGuessed: z.boolean().default(true),
  installCommand: z.string().optional(),
  buildCommand: z.string().optional(),
  startCommand: z.string().optional(),
  /** Folder with the built files, in the stage that built them. */
  outputDirectory: z.string().optional(),
  evidence: z.array(Evidence),
  warnings: z.array(z.string()),
  /** Folder inside the repository that is the build context. */
  rootDirectory: RepositoryPath,
  dockerfile: z.object({ origin: z.enum(['repository', 'generated']), path: RepositoryPath, text: z.string() }),
  /** Stage of the Dockerfile to build; absent: the last. */
  target: StageName.optional(),
  buildArgs: BuildArgs.optional(),
  /** Files that a generated Dockerfile needs in addition to the repository's, below `.orkestr/` in the context. */
  files: z.array(z.object({ path: RepositoryPath, text: z.string() })),
});
export type BuildPlan = z.infer<typeof BuildPlan>;

/** Statistics of a build. */
export const BuildSummary = z.object({
  /** From the first check of a base image until the image is on the host. */
  ms: z.int(),
  /** Commands of the Dockerfile without FROM, and how many of them came from the cache. */
  steps: z.int(),
  cached: z.int(),
  /** Slowest commands first: "[2/5] RUN npm ci". */
  slowest: z.array(z.object({ name: z.string().max(200), ms: z.int() })).max(10),
  /** Layers of the image, and those that the host lacked. Null: the image was transferred as a whole. */
  layers: z.object({ all: z.int(), sent: z.int() }).nullable(),
  /** Bytes transferred from the sandbox to the host. */
  sentBytes: z.int(),
});
export type BuildSummary = z.infer<typeof BuildSummary>;

/** How a rebuilt image compares with that of the release. */
export const Rebuild = z.object({
  /** The deployment whose image is no longer on the host. */
  of: Uuid,
  /** The layers and the settings are the same. The image id differs even so, because it depends on the deployment. */
  identical: z.boolean(),
  /** The differences, one each, for people. */
  differences: z.array(z.string().max(500)).max(50),
});
export type Rebuild = z.infer<typeof Rebuild>;

export const Image = z.object({
  id: ImageId,
  /** `orkestr/<environment id>:<deployment id>`: derived, so that the image is found even if this result is lost. */
  reference: z.string(),
  bytes: z.int(),
  /** Base image name → its id at the time of the build. */
  baseImages: z.record(z.string(), z.string()),
  /** Base image name → reference to pull it again: "node@sha256:…". Only images from a registry. */
  baseDigests: z.record(z.string(), z.string()).optional(),
  /** Peak memory of the sandbox during the build; null if the kernel does not report it. */
  peakMemoryBytes: z.int().nullable(),
  exposedPorts: z.array(Port),
  hasHealthcheck: z.boolean(),
  /** Digests of the layers, from the base up, to compare a rebuild with. Absent in releases of older versions. */
  layers: z.array(z.string()).max(1000).optional(),
  /** Its reference in the registry. Absent: the image is only on its host. */
  registryReference: ImageReference.optional(),
  /** Absent when an earlier run had already built the image. */
  summary: BuildSummary.optional(),
  rebuild: Rebuild.optional(),
});
export type Image = z.infer<typeof Image>;

/** The address of a running container. */
export const Target = z.object({
  containerId: z.string(),
  containerName: z.string(),
  address: z.ipv4(),
  port: Port,
  /** Why this port: "environment setting", "EXPOSE of the image", "package.json …", "default". */
  portFrom: z.string(),
  /** The port is a default or a guess: the only other port that the app opens may replace it. */
  portGuessed: z.boolean().default(false),
  /** A background worker: nothing connects to it, and `port` only fills the proxy's table. */
  worker: z.boolean().optional(),
  /** Id of the image on this host, if a pull gave it another one than the build (containerd's image store). */
  imageId: ImageId.optional(),
});
export type Target = z.infer<typeof Target>;

/** A listening TCP socket inside a container, from its /proc/net/tcp and tcp6. */
export const Listener = z.object({ address: z.string(), port: z.int() });
export type Listener = z.infer<typeof Listener>;

export const HealthReport = z.object({
  probe: z.enum(['http', 'tcp', 'image', 'command', 'running', 'none']),
  attempts: z.int(),
  ms: z.number(),
  /** The result of the last probe, for people: "HTTP 200 in 4 ms". */
  last: z.string(),
  listeners: z.array(Listener),
  /** The port that the app opened instead of the guessed one; it serves now. */
  foundPort: Port.nullable().default(null),
});
export type HealthReport = z.infer<typeof HealthReport>;

export const CutoverReceipt = FlipCounts.extend({
  generation: z.int(),
  flippedAt: Timestamp,
  urls: z.array(z.string()),
});
export type CutoverReceipt = z.infer<typeof CutoverReceipt>;

/** The record of a live deployment; immutable. A rollback needs only this and the repository. */
export const Release = z.object({
  deploymentId: Uuid,
  commit: CommitSha,
  plan: BuildPlan,
  image: Image,
  liveAt: Timestamp,
  supersedes: Uuid.nullable(),
  /** The port found in place of a guess; the next deployment of the environment starts with it. */
  foundPort: Port.nullable().default(null),
  prunedImages: z.array(z.string()),
});
export type Release = z.infer<typeof Release>;

/** Step name → schema of its output. Journal, wire and hub all validate with it. */
export const StepOutputs = {
  clone: Checkout,
  analyze: BuildPlan,
  build: Image,
  deploy: Target,
  health: HealthReport,
  cutover: CutoverReceipt,
  finalize: Release,
} as const satisfies Record<StepName, z.ZodType>;

export type StepOutputs = { [N in StepName]: z.infer<(typeof StepOutputs)[N]> };

export const StepStatus = z.enum(['running', 'done', 'failed', 'skipped', 'cancelled']);
export type StepStatus = z.infer<typeof StepStatus>;
