/** Generated Dockerfile for Elixir: a release, which has all it needs but the libraries of its base image. */
import type { Generated, WriteRequest } from '../detector.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';

export interface ElixirRecipe {
  readonly image: string;
  readonly app: string;
  readonly hasLock: boolean;
  readonly phoenix: boolean;
}

export function writeElixir(
  { image, app, hasLock, phoenix }: ElixirRecipe,
  { facts, surroundings }: WriteRequest,
): Generated {
  const { installCommand = '', buildCommand = '', startCommand = '' } = facts;
  const packages = cacheMount(surroundings.cacheScope, 'hex', '/root/.hex/packages');
  const build = [
    `FROM ${image} AS build`,
    ...aptInstall(['build-essential', 'git']),
    'WORKDIR /src',
    'ENV MIX_ENV=prod LANG=C.UTF-8',
    'RUN mix local.hex --force && mix local.rebar --force',
    `COPY mix.exs ${hasLock ? 'mix.lock ' : ''}./`,
    `RUN ${packages} ${installCommand}`,
    'COPY . .',
    `RUN ${packages} ${buildCommand}`,
  ];
  const run = [
    `FROM ${image}`,
    `ENV HOME=/tmp LANG=C.UTF-8 MIX_ENV=prod RELEASE_TMP=/tmp${phoenix ? ' PHX_SERVER=true' : ''}`,
    `COPY --from=build --chown=${USER} /src/_build/prod/rel/${app} /app`,
    ...runAs(startCommand),
  ];
  return { text: stages(build, run), files: [] };
}
