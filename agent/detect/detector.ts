/** The contract of a detector: it reads a repository and gives facts with their evidence, or says why it does not match. */
import type { BuildSettings } from '../../protocol/build-settings.ts';
import type { PublicPrefix } from '../../protocol/public-variables.ts';
import type { BuildPlan, Confidence, Evidence } from '../../protocol/steps.ts';
import type { BaseImages } from './base-images.ts';
import type { Need } from './needs.ts';
import type { RepositoryView } from './repository.ts';

/** What a plan is made of. Settings may override port, commands and output folder. */
export type Facts = Pick<
  BuildPlan,
  'framework' | 'runtime' | 'version' | 'port' | 'installCommand' | 'buildCommand' | 'startCommand' | 'outputDirectory'
>;

export type PlanFile = BuildPlan['files'][number];

/** What a person said instead of what would be detected, and where: "environment setting", "orkestr.json line 4". */
export interface Stated<T> {
  readonly value: T;
  readonly from: string;
}
export type StatedSettings = {
  readonly [K in keyof BuildSettings | 'port']?: Stated<
    K extends keyof BuildSettings ? NonNullable<BuildSettings[K]> : number
  >;
};

/** What the host brings to a plan. */
export interface Surroundings {
  readonly baseImages: BaseImages;
  /** True for an image that this host made itself: then there is this one version of it and no other. */
  readonly isMadeHere: (image: string) => Promise<boolean>;
  /** Prefix of the ids of BuildKit cache mounts, so that projects never share a cache that one of them could poison. */
  readonly cacheScope: string;
}

/** What a generated Dockerfile depends on beside the detector's own findings. */
export interface WriteRequest {
  /** After settings were applied. */
  readonly facts: Facts;
  readonly stated: StatedSettings;
  readonly surroundings: Surroundings;
  /** Names of variables that its build commands get as build args. */
  readonly publicVariables: readonly string[];
}

export interface Generated {
  readonly text: string;
  readonly files: readonly PlanFile[];
}

export interface Finding {
  readonly confidence: Confidence;
  readonly facts: Facts;
  readonly evidence: readonly Evidence[];
  readonly warnings: readonly string[];
  /** Variables that the app needs to run. */
  readonly needs?: readonly Need[];
  /** Detectors whose part is done too: the assets of a PHP app are built by Node.js. */
  readonly includes?: readonly string[];
  /** Variables of the app with names like these are public, and its build reads them. */
  readonly publicPrefixes?: readonly PublicPrefix[];
  /** Folder of the build context from the root of the repository, when it is not the root directory: a workspace's root. */
  readonly context?: string;
  readonly dockerfile:
    | { readonly origin: 'repository'; readonly path: string; readonly text: string }
    | { readonly origin: 'generated'; write(request: WriteRequest): Generated };
}

/** Why a detector does not match, for the message when none does: "no package.json". */
export interface Miss {
  readonly missed: string;
}

export interface DetectRequest {
  /** The root directory of the app. */
  readonly repository: RepositoryView;
  /** The whole checkout, and where in it the root directory is. */
  readonly checkout: { readonly repository: RepositoryView; readonly rootDirectory: string };
  readonly stated: StatedSettings;
  /** Linux capabilities that the app's container will have. */
  readonly capabilities: readonly string[];
  readonly surroundings: Surroundings;
}

export interface Detector {
  /** Stored in plans: never rename. */
  readonly name: string;
  /** Names of frameworks as they stand in plans; each has a fixture app. Never rename one. */
  readonly frameworks: readonly string[];
  /** The most it can be sure of: what it counts as when it fails. */
  readonly best: Confidence;
  /** @throws OrkestrError ORK_MANIFEST_INVALID when a file that decides cannot be read, ORK_REPO_UNSAFE, ORK_APP_AMBIGUOUS */
  detect(request: DetectRequest): Promise<Finding | Miss>;
}
