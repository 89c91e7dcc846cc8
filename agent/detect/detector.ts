/** The contract of a detector: it reads a repository and gives facts with their evidence, or says why it does not match. */
import type { BuildPlan, Evidence } from '../../protocol/steps.ts';
import type { BaseImages } from './base-images.ts';
import type { RepositoryView } from './repository.ts';

/** What a plan is made of. Settings of the environment may override the port and the start command. */
export type Facts = Pick<
  BuildPlan,
  'framework' | 'runtime' | 'port' | 'installCommand' | 'buildCommand' | 'startCommand'
>;

export type PlanFile = BuildPlan['files'][number];

/** What a generated Dockerfile may depend on beside the facts. */
export interface Surroundings {
  readonly baseImages: BaseImages;
  /** Prefix of the ids of BuildKit cache mounts, so that projects never share a cache that one of them could poison. */
  readonly cacheScope: string;
}

export interface Generated {
  readonly text: string;
  readonly files: readonly PlanFile[];
}

export interface Finding {
  readonly facts: Facts;
  readonly evidence: readonly Evidence[];
  readonly warnings: readonly string[];
  readonly dockerfile:
    | { readonly origin: 'repository'; readonly path: string; readonly text: string }
    /** `write` gets the facts after settings were applied. */
    | { readonly origin: 'generated'; write(facts: Facts, surroundings: Surroundings): Generated };
}

/** Why a detector does not match, for the message when none does: "no package.json". */
export interface Miss {
  readonly missed: string;
}

export interface DetectRequest {
  readonly repository: RepositoryView;
  /** The Dockerfile that the environment's settings name. */
  readonly dockerfile: string | undefined;
  /** For warnings when the repository asks for another version than these have. */
  readonly baseImages: BaseImages;
}

export interface Detector {
  /** Stored in plans: never rename. */
  readonly name: string;
  /** Files that hint at it; when another detector wins, a warning names those that are there too. */
  readonly markers: readonly string[];
  /** @throws OrkestrError ORK_MANIFEST_INVALID when a file that decides cannot be read, ORK_REPO_UNSAFE */
  detect(request: DetectRequest): Promise<Finding | Miss>;
}
