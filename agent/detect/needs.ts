/** Variables that an app does not start or serve without, and which only its user has. */
import type { EnvVars } from '../../protocol/ids.ts';

export interface Need {
  /** One of them is enough. */
  readonly anyOf: readonly string[];
  /** Where its value comes from, or what it is for. */
  readonly hint: string;
}

/** Warnings about those of which the environment has none. */
export function unmetNeeds(framework: string, needs: readonly Need[], variables: EnvVars): string[] {
  return needs
    .filter(({ anyOf }) => !anyOf.some((name) => Object.hasOwn(variables, name)))
    .map(
      ({ anyOf, hint }) => `${framework} needs ${anyOf.join(' or ')}: set it as a variable of the environment. ${hint}`,
    );
}
