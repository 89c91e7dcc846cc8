import type { BaseRecipe } from '../recipe.ts';

/** The newer Rust of Debian, which it keeps for browsers, with the C compiler that links. */
export const rust: BaseRecipe = {
  kind: 'rust',
  from: 'debian',
  packages: ['rustc-web', 'cargo-web', 'gcc', 'libc6-dev'],
  env: {},
  command: ['bash'],
};
