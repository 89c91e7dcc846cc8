/** What each step of the pipeline leaves behind. Stored in the agent's journal and the hub's store, and shown to users. */
import { z } from 'zod';
import { BuildArgs, StageName } from './build-settings.ts';
import { FlipCounts } from './flip-counts.ts';
import { CommitSha, ImageId, ImageReference, Port, RepositoryPath, Timestamp, Uuid } from './ids.ts';

/** The seven steps in their order. Names are stored: never rename, never reuse. */
export const STEP_NAMES = ['clone', 'analyze', 'build', 'deploy', 'health', 'cutover', 'finalize'] as const;
export const StepName = z.enum(STEP_NAMES);
export type StepName = z.infer<typeof StepName>;

export const Checkout = z.object({
  commit: CommitSha,
  /** First line of the commit message and its author, for people. Cut to 200 characters. */
  subject: z.string(),
  author: z.string(),
  files: z.int(),
  bytes: z.int(),
  /** When the commit was made: the time that its files have in an image. */
  committedAt: Timestamp.optional(),
});
export type Checkout = z.infer<typeof Checkout>;

/** One fact about a repository and where it was read. Example: start command, `node server.js`, "package.json scripts.start". */
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

/** How sure a detector is. `stated`: a person said so; `guess`: an index.html lies there. */
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
  /** Absent when nothing says it: then EXPOSE of the built image decides, else 8080. */
  port: Port.optional(),
  /** Nobody said the port: it is a default or a guess, and the only other port that the app opens may take its place. */
  portGuessed: z.boolean().default(true),
  installCommand: z.string().optional(),
  buildCommand: z.string().optional(),
  startCommand: z.string().optional(),
  /** Folder of finished files, in the stage that built them. */
  outputDirectory: z.string().optional(),
  evidence: z.array(Evidence),
  warnings: z.array(z.string()),
  /** Folder inside the repository that is the build context. */
  rootDirectory: RepositoryPath,
  dockerfile: z.object({ origin: z.enum(['repository', 'generated']), path: RepositoryPath, text: z.string() }),
  /** Stage of the Dockerfile that is built; absent: the last. */
  target: StageName.optional(),
  buildArgs: BuildArgs.optional(),
  /** Files that a generated Dockerfile needs beside the repository's own, below `.orkestr/` in the context. */
  files: z.array(z.object({ path: RepositoryPath, text: z.string() })),
});
export type BuildPlan = z.infer<typeof BuildPlan>;

/** How a build went. */
export const BuildSummary = z.object({
  /** From the first look for a base image to the image on the host. */
  ms: z.int(),
  /** Commands of the Dockerfile beside FROM, and how many of them came from the cache. */
  steps: z.int(),
  cached: z.int(),
  /** The slowest commands first: "[2/5] RUN npm ci". */
  slowest: z.array(z.object({ name: z.string().max(200), ms: z.int() })).max(10),
  /** Layers of the image, and those that the host did not have. Null: it was handed over whole. */
  layers: z.object({ all: z.int(), sent: z.int() }).nullable(),
  /** Bytes that went from the sandbox to the host. */
  sentBytes: z.int(),
});
export type BuildSummary = z.infer<typeof BuildSummary>;

/** How an image that was built again compares with that of the release. */
export const Rebuild = z.object({
  /** The deployment whose image is no longer on the host. */
  of: Uuid,
  /** The same layers and the same settings. Its id is another one all the same, for it names its deployment. */
  identical: z.boolean(),
  /** What differs, for people, one thing each. */
  differences: z.array(z.string().max(500)).max(50),
});
export type Rebuild = z.infer<typeof Rebuild>;

export const Image = z.object({
  id: ImageId,
  /** `orkestr/<environment id>:<deployment id>`: derived, so that a lost result can be found again. */
  reference: z.string(),
  bytes: z.int(),
  /** Base image name → its id when this was built. */
  baseImages: z.record(z.string(), z.string()),
  /** Base image name → by which it is had from its registry again: "node@sha256:…". Those that came from one. */
  baseDigests: z.record(z.string(), z.string()).optional(),
  /** Peak memory of the sandbox during the build; null where the kernel does not tell. */
  peakMemoryBytes: z.int().nullable(),
  exposedPorts: z.array(Port),
  hasHealthcheck: z.boolean(),
  /** Digests of its layers from the base up, by which a rebuild is compared. Absent in releases of older versions. */
  layers: z.array(z.string()).max(1000).optional(),
  /** By which its registry has it. Absent: it is on its host only. */
  registryReference: ImageReference.optional(),
  /** Absent when an earlier run had built it already. */
  summary: BuildSummary.optional(),
  rebuild: Rebuild.optional(),
});
export type Image = z.infer<typeof Image>;

/** One running container address. */
export const Target = z.object({
  containerId: z.string(),
  containerName: z.string(),
  address: z.ipv4(),
  port: Port,
  /** Why this port: "environment setting", "EXPOSE of the image", "package.json …", "default". */
  portFrom: z.string(),
  /** Nobody said it: the only other port that the app opens may take its place. */
  portGuessed: z.boolean().default(false),
  /** Id of its image on this host, where a pull gave it another one than its build (containerd's image store). */
  imageId: ImageId.optional(),
});
export type Target = z.infer<typeof Target>;

/** A listening TCP socket inside a container, from its /proc/net/tcp and tcp6. */
export const Listener = z.object({ address: z.string(), port: z.int() });
export type Listener = z.infer<typeof Listener>;

export const HealthReport = z.object({
  probe: z.enum(['http', 'tcp', 'image', 'command', 'none']),
  attempts: z.int(),
  ms: z.number(),
  /** What the last probe got, for people: "HTTP 200 in 4 ms". */
  last: z.string(),
  listeners: z.array(Listener),
  /** The port that the app opened instead of the guessed one, and that serves now. */
  foundPort: Port.nullable().default(null),
});
export type HealthReport = z.infer<typeof HealthReport>;

export const CutoverReceipt = FlipCounts.extend({
  generation: z.int(),
  flippedAt: Timestamp,
  urls: z.array(z.string()),
});
export type CutoverReceipt = z.infer<typeof CutoverReceipt>;

/** What a live deployment leaves behind; immutable. A rollback needs nothing else but the repository. */
export const Release = z.object({
  deploymentId: Uuid,
  commit: CommitSha,
  plan: BuildPlan,
  image: Image,
  liveAt: Timestamp,
  supersedes: Uuid.nullable(),
  /** The port that was found in place of a guess: the next deployment of the environment starts with it. */
  foundPort: Port.nullable().default(null),
  prunedImages: z.array(z.string()),
});
export type Release = z.infer<typeof Release>;

/** Step name → schema of its output: one place from which journal, wire and hub validate. */
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
