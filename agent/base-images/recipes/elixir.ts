import type { BaseRecipe } from '../recipe.ts';

/** Debian's Elixir with all of Erlang that needs no display. */
export const elixir: BaseRecipe = {
  kind: 'elixir',
  from: 'debian',
  packages: ['elixir', 'erlang-nox', 'erlang-dev'],
  env: { LANG: 'C.UTF-8' },
  command: ['iex'],
};
