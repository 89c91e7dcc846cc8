import type { BaseRecipe } from '../recipe.ts';

/** Elixir of Debian with all of Erlang that needs no screen. */
export const elixir: BaseRecipe = {
  kind: 'elixir',
  from: 'debian',
  packages: ['elixir', 'erlang-nox', 'erlang-dev'],
  env: { LANG: 'C.UTF-8' },
  command: ['iex'],
};
