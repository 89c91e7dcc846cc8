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

/** Those of an image's names under which this agent pulled it. */
export const pulledNames = (scope: string, names: Names): readonly string[] =>
  (names ?? []).filter((name) => name.startsWith(pulledRepository(scope, '')));

/** Those of an image's names that are of this agent, which built it or pulled it. Two agents may share an engine. */
export const namesOfOurs = (scope: string, labels: Labels, names: Names): readonly string[] =>
  labels?.[LABEL.scope] === scope
    ? (names ?? []).filter((name) => name.startsWith(pulledRepository(scope, '')) || !PULLED.test(name))
    : pulledNames(scope, names);

/** Whether an image is of this agent. */
export const isOurImage = (scope: string, labels: Labels, names: Names): boolean =>
  namesOfOurs(scope, labels, names).length > 0 || (labels?.[LABEL.scope] === scope && (names ?? []).length === 0);

/** Scopes of all agents that have built an image here or pulled it. */
export function scopesOfImage(labels: Labels, names: Names): readonly string[] {
  const built = labels?.[LABEL.scope];
  const pulled = (names ?? []).flatMap((name) => PULLED.exec(name)?.[1] ?? []);
  return built !== undefined && isOurImage(built, labels, names) ? [built, ...pulled] : pulled;
}

/** Of any agent. */
const PULLED = /^orkestr-([0-9a-f]{8})\//;

/** As engines give them: null for none. */
type Labels = Readonly<Record<string, string>> | null | undefined;
type Names = readonly string[] | null | undefined;
