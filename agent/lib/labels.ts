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
