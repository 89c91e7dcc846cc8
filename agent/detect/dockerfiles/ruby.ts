/** Generated Dockerfile for Ruby: gems are built in one stage with compilers, and run in one without. */
import type { Generated, WriteRequest } from '../detector.ts';
import type { FrontEnd } from '../front-end.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';
import { COPY_NODE, installFrontEnd } from './front-end.ts';

interface RubyRecipe {
  readonly image: string;
  /** What bundler reads: Gemfile, its lockfile, a version file that it may refer to. */
  readonly manifests: readonly string[];
  readonly hasLock: boolean;
  readonly rails: boolean;
  /** Packages of Node.js that the assets are built with; null without any. */
  readonly frontEnd: FrontEnd | null;
  /** Debian packages of the gems: to build them, and to run them. */
  readonly buildPackages: readonly string[];
  readonly runPackages: readonly string[];
}

const GEMS = '/bundle';

export function writeRuby(recipe: RubyRecipe, { facts, stated, surroundings }: WriteRequest): Generated {
  const { installCommand = '', buildCommand, startCommand = '' } = facts;
  const { image, hasLock, rails, frontEnd } = recipe;
  const { baseImages, cacheScope } = surroundings;
  const bundle = `BUNDLE_PATH=${GEMS} BUNDLE_WITHOUT=development:test${hasLock ? ' BUNDLE_DEPLOYMENT=1' : ''}`;
  const env = `ENV ${bundle} RACK_ENV=production${rails ? ' RAILS_ENV=production RAILS_LOG_TO_STDOUT=1' : ''}`;
  const cache = cacheMount(cacheScope, 'gems', '/root/.bundle/cache');
  const node = frontEnd === null ? [] : [`FROM ${baseImages.node} AS node`];
  const build = [
    `FROM ${image} AS build`,
    ...aptInstall(['build-essential', 'git', 'libyaml-dev', 'pkg-config', ...recipe.buildPackages]),
    'WORKDIR /app',
    env,
    stated.installCommand === undefined ? `COPY ${recipe.manifests.join(' ')} ./` : 'COPY . .',
    `RUN ${cache} ${installCommand}`,
    // The gems call Node.js while they build the assets.
    ...(frontEnd === null ? [] : [...COPY_NODE, ...installFrontEnd(frontEnd, cacheScope)]),
    'COPY . .',
    ...(buildCommand === undefined ? [] : [`RUN ${buildCommand}`]),
  ];
  const run = [
    `FROM ${image}`,
    ...aptInstall(recipe.runPackages),
    `${env} HOME=/tmp${rails ? ' RAILS_SERVE_STATIC_FILES=1' : ''}`,
    `COPY --from=build ${GEMS} ${GEMS}`,
    `COPY --from=build --chown=${USER} /app /app`,
    ...runAs(startCommand),
  ];
  return { text: stages(node, build, run), files: [] };
}
