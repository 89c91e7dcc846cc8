/** The contract of a detector: it reads a repository and returns facts with evidence, or why it does not match. */
import type { BuildSettings } from '../../protocol/build-settings.ts';
import type { PublicPrefix } from '../../protocol/public-variables.ts';
import type { BuildPlan, Confidence, Evidence } from '../../protocol/steps.ts';
import type { BaseImages } from './base-images.ts';
import type { Need } from './needs.ts';
import type { RepositoryView } from './repository.ts';

/** The detected part of a plan. Settings may override port, commands and output folder. */
export type Facts = Pick<
  BuildPlan,
  'framework' | 'runtime' | 'version' | 'port' | 'installCommand' | 'buildCommand' | 'startCommand' | 'outputDirectory'
>;

export type PlanFile = BuildPlan['files'][number];

/** A value that a user set instead of the detected one, and where: "environment setting", "orkestr.json line 4". */
export interface Stated<T> {
  readonly value: T;
  readonly from: string;
}
export type StatedSettings = {
  readonly [K in keyof BuildSettings | 'port']?: Stated<
    K extends keyof BuildSettings ? NonNullable<BuildSettings[K]> : number
  >;
};

/** The host's part of a plan. */
export interface Surroundings {
  readonly baseImages: BaseImages;
  /** Whether this host built the image itself: then only this one version of it is available. */
  readonly isMadeHere: (image: string) => Promise<boolean>;
  /** Prefix of the ids of BuildKit cache mounts, so that projects never share a cache that one of them could poison. */
  readonly cacheScope: string;
}

/** Inputs of a generated Dockerfile apart from what the detector itself has found. */
export interface WriteRequest {
  /** After applying settings. */
  readonly facts: Facts;
  readonly stated: StatedSettings;
  readonly surroundings: Surroundings;
  /** Names of the variables passed to its build commands as build args. */
  readonly publicVariables: readonly string[];
}

export interface Generated {
  readonly text: string;
  readonly files: readonly PlanFile[];
}

/** What a detector found: an app, and how it is built. */
export interface DetectedApp {
  readonly confidence: Confidence;
  readonly facts: Facts;
  readonly evidence: readonly Evidence[];
  readonly warnings: readonly string[];
  /** Variables that the app needs to run. */
  readonly needs?: readonly Need[];
  /** Detectors whose app this one covers too: Node.js builds the assets of a PHP app. */
  readonly includes?: readonly string[];
  /** Prefixes of public variables, which the app's build reads. */
  readonly publicPrefixes?: readonly PublicPrefix[];
  /** Folder of the build context from the repository's root, if it is not the root directory: a workspace's root. */
  readonly context?: string;
  readonly dockerfile:
    | { readonly origin: 'repository'; readonly path: string; readonly text: string }
    | { readonly origin: 'generated'; write(request: WriteRequest): Generated };
}

/** Why a detector does not match, for the message if none does: "no package.json". */
export interface Miss {
  readonly missed: string;
}

export interface DetectRequest {
  /** The root directory of the app. */
  readonly repository: RepositoryView;
  /** The whole checkout, and the path of the root directory in it. */
  readonly checkout: { readonly repository: RepositoryView; readonly rootDirectory: string };
  readonly stated: StatedSettings;
  /** Linux capabilities of the app's container. */
  readonly capabilities: readonly string[];
  readonly surroundings: Surroundings;
  /** Nothing was found, here or below: dependencies with a stated start command suffice, as those of a bot. */
  readonly isLastTry?: boolean;
}

export interface Detector {
  /** Stored in plans: never rename. */
  readonly name: string;
  /** Framework names as used in plans; each has a fixture app. Never rename one. */
  readonly frameworks: readonly string[];
  /** The highest confidence it can reach: a failure is ranked by it. */
  readonly best: Confidence;
  /** @throws OrkestrError ORK_MANIFEST_INVALID if a file it needs is unreadable, ORK_REPO_UNSAFE, ORK_APP_AMBIGUOUS */
  detect(request: DetectRequest): Promise<DetectedApp | Miss>;
}
