/**
 * What the deployment domain needs from the world, as narrow interfaces. Adapters in docker/, git/, sandbox/,
 * proxy-client/ and journal/ implement them; host.ts builds the real ones. Every call has a deadline inside the adapter
 * and throws OrkestrError with a code that names whose fault it was.
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

/** The log of one step: raw bytes in, stored and streamed in order. Values of secrets are redacted by the runner's wrapper. */
export interface StepLog {
  /** Append program output as it is. */
  write(bytes: Uint8Array): void;
  /** Append one line of our own. */
  line(text: string): void;
}

export interface SourceControl {
  /**
   * Fetch exactly `commit` of `source` with depth 1 into `directory` (made anew; an earlier half-done one is replaced).
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

/** Labels that we put on everything made in the engine. Only what carries our host label is ever touched. */
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
  /** What the checkout is of: gives the files their time, which is another one with each checkout. Absent: each file's own. */
  readonly revision?: { readonly commit: string; readonly committedAt: Date };
  /** The release whose image is built again: its base images are taken while they are to be had, and the result is compared. */
  readonly again?: { readonly deploymentId: string; readonly image: Image };
  readonly limits: BuildLimits;
  /** What the build may reach: `buildHosts` of the environment. Absent: the internet. */
  readonly buildHosts?: readonly string[] | undefined;
  /** Build secrets: name → value. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly registries: readonly RegistryLogin[];
  /** Push the image there, under this tag. */
  readonly push?: { readonly repository: string; readonly tag: string };
  /** It is released on another host: the host's engine does not get the image. */
  readonly forElsewhere?: boolean;
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

export interface ImageBuilder {
  /**
   * Build in the sandbox, push the image where that is asked for, and hand it to the host's engine. When the host has
   * `reference` already, and nothing is to be pushed, that image is the answer (a lost result is found, not built again).
   * @throws OrkestrError the codes under "build", those of registries too, ORK_CANCELLED, ORK_DISK_FULL
   */
  build(request: BuildRequest): Promise<Image>;
  /** A build will come soon: get ready for it meanwhile. Whatever goes wrong is told by the build. */
  warm(request: Pick<BuildRequest, 'limits' | 'log'> & { readonly environmentId: string }): void;
}

export interface ImageStore {
  /** The image under a reference or id, or null. `baseImages` is empty and the peak null here: only a build knows them. */
  find(referenceOrId: string): Promise<Image | null>;
  /** True for a base image that this host made itself (agent/base-images), so that no other version of it is to be had. */
  isMadeHere(reference: string): Promise<boolean>;
  /** Images of one environment, those with the newest ids of deployments first. */
  list(environmentId: string): Promise<readonly OwnedImage[]>;
  /** Remove one; true when it was there. Never forced: an image in use stays and gives false. */
  remove(imageId: string): Promise<boolean>;
}

export interface PullRequest {
  readonly owner: Ownership;
  /** What was built: its `registryReference` is pulled, and must be it. */
  readonly image: Pick<Image, 'id' | 'layers' | 'registryReference'>;
  readonly registries: readonly RegistryLogin[];
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

export interface ImageRegistry {
  /**
   * Null when the registry has the image now, else why it is not to be had, for people.
   * @throws OrkestrError the engine's codes
   */
  whyMissing(reference: string, registries: readonly RegistryLogin[]): Promise<string | null>;
  /**
   * Pull it by digest, check it, and name it as this deployment's. Answers its id here.
   * @throws OrkestrError ORK_REGISTRY_LOGIN, ORK_REGISTRY_DENIED, ORK_REGISTRY_UNREACHABLE, ORK_REGISTRY_FAILED,
   * ORK_IMAGE_GONE, ORK_IMAGE_DIGEST, ORK_CANCELLED, ORK_DISK_FULL
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
  /** Derived from the deployment id; a second start finds the first. */
  readonly name: string;
  readonly imageId: string;
  readonly env: Readonly<Record<string, string>>;
  /** Shell-free override of the command, absent: the image's own. */
  readonly command?: readonly string[];
  readonly limits: Limits;
  readonly readOnlyRoot: boolean;
  readonly capabilities: readonly string[];
  /** The project's own network; made when absent. */
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
  /** Docker's own HEALTHCHECK state; null without one. */
  readonly imageHealth: 'starting' | 'healthy' | 'unhealthy' | null;
  /** Output of the last HEALTHCHECK run. */
  readonly imageHealthOutput: string | null;
  /** Process id of the container's init on the host; null while stopped. */
  readonly pid: number | null;
}

export interface ContainerRuntime {
  /** Create and start; an existing container of that name with the same deployment label is started if need be and answered. */
  start(request: ContainerRequest): Promise<ContainerState>;
  inspect(name: string): Promise<ContainerState | null>;
  /** All containers of this host's agent, in any state. */
  list(): Promise<readonly ContainerState[]>;
  /** From now on the engine starts it again when it ends. Called once it is live: before that a crash must be seen. */
  keepRunning(name: string): Promise<void>;
  /** SIGTERM, wait `graceSeconds`, SIGKILL. It stays, to be started again. Nothing to do is fine. */
  stop(name: string, graceSeconds: number): Promise<void>;
  /** {@link stop}, and remove. Nothing to do is fine. */
  stopAndRemove(name: string, graceSeconds: number): Promise<void>;
  /** Values of its environment, those of its image too. */
  variables(name: string): Promise<readonly string[]>;
  /** Last lines of the container's output. */
  tail(name: string, lines: number): Promise<readonly string[]>;
  /** Sockets that listen inside the container, from its /proc/net/tcp and tcp6. */
  listeners(name: string): Promise<readonly Listener[]>;
  /** Run a command in the container; its exit code and cut output. */
  exec(name: string, argv: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
  /** Remove a project network when nothing is attached. */
  removeNetwork(networkName: string): Promise<void>;
}

export interface EdgeProxy {
  table(): Promise<TableView>;
  flip(request: FlipRequest): Promise<FlipAnswer>;
  /** @throws OrkestrError ORK_GENERATION_STALE; ORK_CONFLICT when the old target is not kept any more */
  flipBack(request: FlipBackRequest): Promise<FlipAnswer>;
  /** New routes and settings for what serves. @throws OrkestrError ORK_GENERATION_STALE, ORK_ROUTE_TAKEN */
  edge(request: EdgeRequest): Promise<EdgeAnswer>;
  /** Answers when it is drained. An aborted wait leaves the drain as it is. */
  drain(request: DrainRequest, signal: AbortSignal): Promise<DrainAnswer>;
  /** Answers at the end of the window, or as soon as the target goes bad. */
  watch(request: WatchRequest, signal: AbortSignal): Promise<WatchAnswer>;
  /** From now on new requests wait, within bounds, until the next flip or `resume`. Safe twice. */
  hold(request: HoldRequest): Promise<HoldAnswer>;
  resume(request: ResumeRequest): Promise<HoldAnswer>;
  /** Counts around the last flip. */
  receipt(upstreamId: string): Promise<FlipReceipt>;
  certificates(): Promise<CertificateList>;
  remove(upstreamId: string): Promise<UpstreamRemoved>;
}

/** Time that a test can hold still. */
export interface Clock {
  /** Wall clock, ms since the epoch: for showing, and for times of files. */
  now(): number;
  /** Monotonic, ms: for durations and deadlines. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Where the files of deployments are on this host. */
export interface Workspaces {
  /** Absolute folder of a deployment's checkout; derived from the id, may not exist yet. */
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
  /** Image names that generated Dockerfiles start from, from this host's config. */
  readonly baseImages: BaseImages;
}
