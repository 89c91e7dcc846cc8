/**
 * What the deployment domain needs from the world, as narrow interfaces. Adapters in docker/, git/, sandbox/, registry/
 * and proxy-client/ implement them, and host.ts builds those; what it needs of the journal is in records.ts. Every call
 * has a deadline inside the adapter and throws OrkestrError with a code that names the party at fault.
 */
import type { BuildLimits, Limits, RegistryLogin, Source } from '../../protocol/job.ts';
import type {
  CertificateList,
  DrainAnswer,
  DrainRequest,
  EdgeAnswer,
  EdgeRequest,
  FlipAnswer,
  FlipBackRequest,
  FlipReceipt,
  FlipRequest,
  HoldAnswer,
  HoldRequest,
  ResumeRequest,
  TableView,
  UpstreamRemoved,
  WatchAnswer,
  WatchRequest,
} from '../../protocol/proxy-admin.ts';
import type { BuildPlan, Checkout, Image, Listener } from '../../protocol/steps.ts';
import type { BaseImages } from '../detect/base-images.ts';

/** The log of one step: raw bytes, stored and streamed in order. The runner's wrapper redacts the values of secrets. */
export interface StepLog {
  /** Appends program output as is. */
  write(bytes: Uint8Array): void;
  /** Appends one line of our own. */
  line(text: string): void;
}

export interface SourceControl {
  /**
   * Fetches exactly `commit` of `source` with depth 1 into `directory`, which is created; a half-done one is replaced.
   * @throws OrkestrError ORK_URL_REFUSED … ORK_CLONE_FAILED (the codes under "clone")
   */
  checkout(request: {
    readonly source: Source;
    readonly commit: string;
    readonly directory: string;
    readonly log: StepLog;
    readonly signal: AbortSignal;
  }): Promise<Checkout>;
}

/** Labels of everything we make in the engine. We only ever touch what carries our host label. */
export interface Ownership {
  readonly deploymentId: string;
  readonly environmentId: string;
  readonly projectId: string;
}

export interface BuildRequest {
  readonly owner: Ownership;
  /** `orkestr/<environment id>:<deployment id>` */
  readonly reference: string;
  /** Absolute path of the build context. */
  readonly contextDirectory: string;
  readonly plan: BuildPlan;
  /** The commit of the checkout: files get its time instead of the checkout's. Absent: each file keeps its own. */
  readonly revision?: { readonly commit: string; readonly committedAt: Date };
  /**
   * The release whose image is rebuilt: its base images are used while available, and the result is compared with it.
   */
  readonly again?: { readonly deploymentId: string; readonly image: Image };
  readonly limits: BuildLimits;
  /** What the build may reach: `buildHosts` of the environment. Absent: the internet. */
  readonly buildHosts?: readonly string[] | undefined;
  /** Build secrets: name → value. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Names of the app's variables, for the message if a build fails for lack of one. */
  readonly appVariables?: readonly string[];
  readonly registries: readonly RegistryLogin[];
  /** Push the image to this repository under this tag. */
  readonly push?: { readonly repository: string; readonly tag: string };
  /** Another host runs the image: this host's engine does not get it. */
  readonly forElsewhere?: boolean;
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

export interface ImageBuilder {
  /**
   * Builds in the sandbox, pushes the image if asked to, and hands it to the host's engine. If the host already has
   * `reference` and nothing is to be pushed, returns that image: a lost result is found, not built again.
   * @throws OrkestrError the codes under "build", those of registries too, ORK_CANCELLED, ORK_DISK_FULL
   */
  build(request: BuildRequest): Promise<Image>;
  /** Prepares for a build that will come soon. Errors are left for the build to report. */
  warm(request: Pick<BuildRequest, 'limits' | 'log'> & { readonly environmentId: string }): void;
}

export interface ImageStore {
  /**
   * The image under a reference or id, or null. `baseImages` is empty and the peak null here: only a build knows them.
   */
  find(referenceOrId: string): Promise<Image | null>;
  /** True for a base image that this host made itself (agent/base-images): no other version of it is available. */
  isMadeHere(reference: string): Promise<boolean>;
  /** Images of one environment, sorted by deployment id, newest first. */
  list(environmentId: string): Promise<readonly OwnedImage[]>;
  /** Removes an image; true if it was there. Never forced: an image in use stays, and the result is false. */
  remove(imageId: string): Promise<boolean>;
}

export interface PullRequest {
  readonly owner: Ownership;
  /** The built image: its `registryReference` is pulled, and must yield the same image. */
  readonly image: Pick<Image, 'id' | 'layers' | 'registryReference'>;
  readonly registries: readonly RegistryLogin[];
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

export interface ImageRegistry {
  /**
   * Null if the registry has the image now, or else why it is not available, for people.
   * @throws OrkestrError the engine's codes
   */
  whyMissing(reference: string, registries: readonly RegistryLogin[]): Promise<string | null>;
  /**
   * Pulls the image by digest, verifies it, and tags it as this deployment's. Returns its id on this host.
   * @throws OrkestrError ORK_REGISTRY_LOGIN, ORK_REGISTRY_DENIED, ORK_REGISTRY_UNREACHABLE, ORK_REGISTRY_FAILED,
   *   ORK_IMAGE_GONE, ORK_IMAGE_DIGEST, ORK_CANCELLED, ORK_DISK_FULL
   */
  pull(request: PullRequest): Promise<string>;
}

export interface OwnedImage {
  readonly id: string;
  readonly reference: string;
  readonly deploymentId: string;
}

export interface ContainerRequest {
  readonly owner: Ownership;
  /** Derived from the deployment id, so that a second start finds the first. */
  readonly name: string;
  readonly imageId: string;
  readonly env: Readonly<Record<string, string>>;
  /** Replaces the image's command, without a shell. Absent: the image's own. */
  readonly command?: readonly string[];
  readonly limits: Limits;
  readonly readOnlyRoot: boolean;
  readonly capabilities: readonly string[];
  /** The project's own network; created if absent. */
  readonly networkName: string;
}

export interface ContainerState {
  readonly id: string;
  readonly name: string;
  readonly deploymentId: string;
  readonly environmentId: string;
  readonly projectId: string;
  readonly running: boolean;
  /** IPv4 on the project network; null while stopped. */
  readonly address: string | null;
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  /** When its last run began, in the engine's words: another value is another run. */
  readonly startedAt: string;
  /** How often the engine has restarted it since it was last started on request. */
  readonly restarts: number;
  /** Docker's own HEALTHCHECK state; null without one. */
  readonly imageHealth: 'starting' | 'healthy' | 'unhealthy' | null;
  /** Output of the last HEALTHCHECK run. */
  readonly imageHealthOutput: string | null;
  /** Process id of the container's init on the host; null while stopped. */
  readonly pid: number | null;
}

export interface ContainerRuntime {
  /** Creates and starts. Returns an existing container of that name and deployment, started if necessary. */
  start(request: ContainerRequest): Promise<ContainerState>;
  /** Starts a container that exists, with its image, variables and limits as they are. No-op if it runs. */
  startExisting(name: string): Promise<ContainerState>;
  inspect(name: string): Promise<ContainerState | null>;
  /** All containers of this host's agent, in any state. */
  list(): Promise<readonly ContainerState[]>;
  /**
   * From now on the engine restarts it whenever it ends. Called once it is live: before that, a crash must be noticed.
   */
  keepRunning(name: string): Promise<void>;
  /**
   * SIGTERM, wait `graceSeconds`, SIGKILL. The container is kept and can be started again. No-op if it does not run.
   */
  stop(name: string, graceSeconds: number): Promise<void>;
  /** {@link stop}, then remove. No-op if it does not exist. */
  stopAndRemove(name: string, graceSeconds: number): Promise<void>;
  /** Values of its environment variables, including those of its image. */
  variables(name: string): Promise<readonly string[]>;
  /** Last lines of the container's output. */
  tail(name: string, lines: number): Promise<readonly string[]>;
  /** Listening sockets inside the container, from its /proc/net/tcp and tcp6. */
  listeners(name: string): Promise<readonly Listener[]>;
  /** Runs a command in the container. Returns its exit code and its output, truncated. */
  exec(name: string, argv: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
  /** Removes a project network if nothing is attached to it, running or stopped, ours or not. */
  removeNetwork(networkName: string): Promise<void>;
}

export interface EdgeProxy {
  table(): Promise<TableView>;
  flip(request: FlipRequest): Promise<FlipAnswer>;
  /** @throws OrkestrError ORK_GENERATION_STALE; ORK_CONFLICT if the old target is no longer kept */
  flipBack(request: FlipBackRequest): Promise<FlipAnswer>;
  /** Sets new routes and settings for what serves. @throws OrkestrError ORK_GENERATION_STALE, ORK_ROUTE_TAKEN */
  edge(request: EdgeRequest): Promise<EdgeAnswer>;
  /** Resolves when the target is drained. Aborting the wait does not stop the drain. */
  drain(request: DrainRequest, signal: AbortSignal): Promise<DrainAnswer>;
  /** Resolves at the end of the window, or as soon as the target goes bad. */
  watch(request: WatchRequest, signal: AbortSignal): Promise<WatchAnswer>;
  /** From now on new requests wait, within limits, until the next flip or `resume`. Idempotent. */
  hold(request: HoldRequest): Promise<HoldAnswer>;
  resume(request: ResumeRequest): Promise<HoldAnswer>;
  /** Request counts around the last flip. */
  receipt(upstreamId: string): Promise<FlipReceipt>;
  certificates(): Promise<CertificateList>;
  remove(upstreamId: string): Promise<UpstreamRemoved>;
}

/** Time, which a test can replace. */
export interface Clock {
  /** Wall clock, ms since the epoch: for display and file times. */
  now(): number;
  /** Monotonic, ms: for durations and deadlines. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Where this host keeps the files of deployments. */
export interface Workspaces {
  /** Absolute path of a deployment's checkout folder. Derived from the id; may not exist yet. */
  checkoutDirectory(deploymentId: string): string;
  remove(deploymentId: string): Promise<void>;
}

export interface Ports {
  readonly sourceControl: SourceControl;
  readonly builder: ImageBuilder;
  readonly images: ImageStore;
  readonly registry: ImageRegistry;
  readonly containers: ContainerRuntime;
  readonly proxy: EdgeProxy;
  readonly workspaces: Workspaces;
  readonly clock: Clock;
  /** Base images for generated Dockerfiles, from this host's configuration. */
  readonly baseImages: BaseImages;
}
