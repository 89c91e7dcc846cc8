/** Labels that mark an object in the engine as ours. We only ever touch objects with our scope. */
export const LABEL = {
  /** First 8 hex digits of SHA-256 of the host id: distinguishes two agents on one machine. */
  scope: 'orkestr.scope',
  deployment: 'orkestr.deployment',
  environment: 'orkestr.environment',
  project: 'orkestr.project',
  /** On images: base image name → id, as JSON. */
  baseImages: 'orkestr.base-images',
  /** On local base images: digest of their inputs. */
  baseRecipe: 'orkestr.base-recipe',
} as const;

/** Labels of an object that belongs to a deployment. */
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
 * Repository in the names of pulled images, `orkestr-<scope>/<environment id>:<deployment id>`. Their labels are those
 * of the host that built them, and cannot be changed, so the name tells who owns them here.
 */
export const pulledRepository = (scope: string, environmentId: string): string => `orkestr-${scope}/${environmentId}`;

/** The names of an image under which this agent pulled it. */
export const pulledNames = (scope: string, names: Names): readonly string[] =>
  (names ?? []).filter((name) => name.startsWith(pulledRepository(scope, '')));

/** The names of an image that belong to this agent, which built it or pulled it. Two agents may share an engine. */
export const namesOfOurs = (scope: string, labels: Labels, names: Names): readonly string[] =>
  labels?.[LABEL.scope] === scope
    ? (names ?? []).filter((name) => name.startsWith(pulledRepository(scope, '')) || !PULLED.test(name))
    : pulledNames(scope, names);

/** Whether an image belongs to this agent. */
export const isOurImage = (scope: string, labels: Labels, names: Names): boolean =>
  namesOfOurs(scope, labels, names).length > 0 || (labels?.[LABEL.scope] === scope && (names ?? []).length === 0);

/** Scopes of all agents that built or pulled an image on this engine. */
export function scopesOfImage(labels: Labels, names: Names): readonly string[] {
  const built = labels?.[LABEL.scope];
  const pulled = (names ?? []).flatMap((name) => PULLED.exec(name)?.[1] ?? []);
  return built !== undefined && isOurImage(built, labels, names) ? [built, ...pulled] : pulled;
}

/** Matches names given by any agent. */
const PULLED = /^orkestr-([0-9a-f]{8})\//;

/** As engines return them: null for none. */
type Labels = Readonly<Record<string, string>> | null | undefined;
type Names = readonly string[] | null | undefined;
