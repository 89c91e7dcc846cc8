/** Variables that an app needs to start or to serve, and that only the user can provide. */
import type { EnvVars } from '../../protocol/ids.ts';

export interface Need {
  /** Any one of them is enough. */
  readonly anyOf: readonly string[];
  /** Where to get the value, or what it is for. */
  readonly hint: string;
}

/** Warnings about needs for which the environment has no variable. */
export function unmetNeeds(framework: string, needs: readonly Need[], variables: EnvVars): string[] {
  return needs
    .filter(({ anyOf }) => !anyOf.some((name) => Object.hasOwn(variables, name)))
    .map(
      ({ anyOf, hint }) => `${framework} needs ${anyOf.join(' or ')}: set it as a variable of the environment. ${hint}`,
    );
}
