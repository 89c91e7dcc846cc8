import type { BaseRecipe } from '../recipe.ts';
import { debian } from './debian.ts';
import { go } from './go.ts';
import { node } from './node.ts';
import { python } from './python.ts';
import { staticSite } from './static.ts';

/** Every kind of base image; those made from debian come after it. */
export const RECIPES: readonly BaseRecipe[] = [debian, node, python, go, staticSite];
