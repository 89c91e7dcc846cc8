/** The recipe for a requested image, and the image's name. */
import { OrkestrError } from '../../protocol/errors.ts';
import { imageVersion, withVersion } from '../detect/base-images.ts';
import type { BaseRecipe } from './recipe.ts';
import { RECIPES } from './recipes/index.ts';

export interface Chosen {
  readonly recipe: BaseRecipe;
  readonly name: string;
}

/** Valid requests: `python`, `node`, and each further version as `node:24`. */
export const CHOICES: readonly string[] = RECIPES.map(({ kind, version }, index) =>
  version !== undefined && RECIPES.findIndex((other) => other.kind === kind) < index ? `${kind}:${version}` : kind,
);

/**
 * Takes `wanted` as a kind, with the version in the host's image name for it, or as `kind:version`.
 * @param names image name per kind
 * @throws OrkestrError ORK_BASE_IMAGE if there is no such recipe, ORK_CONFIG if the kind has no name
 */
export function chooseRecipe(wanted: string, names: Readonly<Record<string, string>>): Chosen {
  const [kind = '', asked] = wanted.split(':');
  const recipes = RECIPES.filter((recipe) => recipe.kind === kind);
  if (recipes.length === 0) throw unknown(wanted);
  const configured = names[kind];
  if (configured === undefined) {
    throw new OrkestrError('ORK_CONFIG', `No image name is set for the base image "${kind}".`);
  }
  const version = asked ?? (recipes.length > 1 ? imageVersion(configured)?.split('.')[0] : undefined);
  const recipe = version === undefined ? recipes[0] : recipes.find((one) => one.version === version);
  if (recipe === undefined) throw unknown(`${kind}:${version}`);
  if (asked === undefined) return { recipe, name: configured };
  if (imageVersion(configured) === null) {
    const why = `the name of this host for "${kind}", ${configured}, has no version in its tag to put another in its place`;
    throw new OrkestrError('ORK_CONFIG', `There is no name for ${wanted}: ${why}.`);
  }
  return { recipe, name: withVersion(configured, asked) };
}

const unknown = (wanted: string): OrkestrError =>
  new OrkestrError('ORK_BASE_IMAGE', `There is no base image "${wanted}". There are: ${CHOICES.join(', ')}.`);
