/** What marks a thing in the engine as ours. Only what carries our scope is ever touched. */
export const LABEL = {
  /** First 8 hex digits of SHA-256 of the host id: tells two agents on one machine apart. */
  scope: 'orkestr.scope',
  deployment: 'orkestr.deployment',
  environment: 'orkestr.environment',
  project: 'orkestr.project',
  /** On images: base image name → id, as JSON. */
  baseImages: 'orkestr.base-images',
  /** On local base images: digest of what they were made from. */
  baseRecipe: 'orkestr.base-recipe',
} as const;

/** Labels of one thing that belongs to a deployment. */
export function ownerLabels(
  scope: string,
  owner: { readonly deploymentId: string; readonly environmentId: string; readonly projectId: string },
): Record<string, string> {
  return {
    [LABEL.scope]: scope,
    [LABEL.deployment]: owner.deploymentId,
    [LABEL.environment]: owner.environmentId,
    [LABEL.project]: owner.projectId,
  };
}

/**
 * Repository of the names of images that came from a registry. They carry the labels of the host that built them, and an image
 * takes no others afterwards; so their name says whose they are here: `orkestr-<scope>/<environment id>:<deployment id>`.
 */
export const pulledRepository = (scope: string, environmentId: string): string => `orkestr-${scope}/${environmentId}`;

/** Whether an image is of this agent: it built it, or pulled it. */
export const isOurImage = (
  scope: string,
  labels: Readonly<Record<string, string>> | null | undefined,
  names: readonly string[] | null | undefined,
): boolean => labels?.[LABEL.scope] === scope || pulledNames(scope, names).length > 0;

/** Those of an image's names under which this agent pulled it. */
export const pulledNames = (scope: string, names: readonly string[] | null | undefined): readonly string[] =>
  (names ?? []).filter((name) => name.startsWith(pulledRepository(scope, '')));
