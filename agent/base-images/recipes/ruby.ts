import type { BaseRecipe } from '../recipe.ts';

/** Debian's Ruby with bundler; the build stage installs compilers itself. */
export const ruby: BaseRecipe = {
  kind: 'ruby',
  from: 'debian',
  packages: ['ruby', 'ruby-dev', 'bundler'],
  env: { LANG: 'C.UTF-8' },
  command: ['irb'],
};
