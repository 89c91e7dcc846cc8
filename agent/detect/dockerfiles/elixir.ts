/** Generated Dockerfile for Elixir: a release, self-contained but for the libraries of its base image. */
import type { Generated, WriteRequest } from '../detector.ts';
import type { FrontEnd } from '../front-end.ts';
import { aptInstall, cacheMount, COPY_CA_BUNDLE, runAs, stages, USER } from './common.ts';
import { COPY_NODE, installFrontEnd } from './front-end.ts';

export interface ElixirRecipe {
  readonly image: string;
  readonly release: string;
  readonly manifests: readonly string[];
  /** Configuration that dependencies are compiled with: a change recompiles them. */
  readonly configuration: readonly string[];
  /** Has dependencies. Otherwise nothing is fetched, not even hex and rebar. */
  readonly downloads: boolean;
  readonly phoenix: boolean;
  /** Node.js packages in the assets folder, or null. */
  readonly frontEnd: FrontEnd | null;
}

/** Phoenix's folder of assets to bundle. */
export const ASSETS = 'assets';

export function writeElixir(
  { image, release, manifests, configuration, downloads, phoenix, frontEnd }: ElixirRecipe,
  { facts, surroundings }: WriteRequest,
): Generated {
  const { installCommand = '', buildCommand = '', startCommand = '' } = facts;
  const packages = cacheMount(surroundings.cacheScope, 'hex', '/root/.hex/packages');
  const build = [
    `FROM ${image} AS build`,
    ...aptInstall(['build-essential', 'ca-certificates', 'git']),
    'WORKDIR /src',
    'ENV MIX_ENV=prod LANG=C.UTF-8',
    ...(downloads ? ['RUN mix local.hex --force && mix local.rebar --force'] : []),
    `COPY ${manifests.join(' ')} ./`,
    ...(configuration.length === 0 ? [] : [`COPY ${configuration.join(' ')} config/`]),
    `RUN ${packages} ${installCommand}`,
    // After the Elixir dependencies, which the packages may refer to: "file:../deps/phoenix".
    ...(frontEnd === null
      ? []
      : [
          ...COPY_NODE,
          `WORKDIR /src/${ASSETS}`,
          ...installFrontEnd(frontEnd, surroundings.cacheScope, ASSETS),
          'WORKDIR /src',
        ]),
    'COPY . .',
    `RUN ${packages} ${buildCommand}`,
  ];
  const run = [
    `FROM ${image}`,
    `ENV HOME=/tmp LANG=C.UTF-8 MIX_ENV=prod RELEASE_TMP=/tmp${phoenix ? ' PHX_SERVER=true' : ''}`,
    COPY_CA_BUNDLE,
    `COPY --from=build --chown=${USER} /src/_build/prod/rel/${release} /app`,
    ...runAs(startCommand),
  ];
  const node = frontEnd === null ? [] : [`FROM ${surroundings.baseImages.node} AS node`];
  return { text: stages(node, build, run), files: [] };
}
