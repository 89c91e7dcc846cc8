import type { BaseRecipe } from '../recipe.ts';
import { debian } from './debian.ts';
import { elixir } from './elixir.ts';
import { go } from './go.ts';
import { java, jre } from './java.ts';
import { node } from './node.ts';
import { composer, php } from './php.ts';
import { python } from './python.ts';
import { ruby } from './ruby.ts';
import { rust } from './rust.ts';
import { staticSite } from './static.ts';

/** Every kind of base image that Debian and npm have packages for. A kind's first recipe is its default version. */
export const RECIPES: readonly BaseRecipe[] = [
  debian,
  ...node,
  python,
  go,
  rust,
  ruby,
  php,
  composer,
  java,
  jre,
  elixir,
  staticSite,
];
