import type { BaseRecipe } from '../recipe.ts';

/** Ruby of Debian with bundler; compilers are the build stage's own matter. */
export const ruby: BaseRecipe = {
  kind: 'ruby',
  from: 'debian',
  packages: ['ruby', 'ruby-dev', 'bundler'],
  env: { LANG: 'C.UTF-8' },
  command: ['irb'],
};
