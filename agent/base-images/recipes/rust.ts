import type { BaseRecipe } from '../recipe.ts';

/** Debian's newer Rust, packaged for building browsers, with the C compiler needed for linking. */
export const rust: BaseRecipe = {
  kind: 'rust',
  from: 'debian',
  packages: ['rustc-web', 'cargo-web', 'gcc', 'libc6-dev'],
  env: {},
  command: ['bash'],
};
