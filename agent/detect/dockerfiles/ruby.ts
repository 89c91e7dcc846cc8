/** Generated Dockerfile for Ruby: one stage builds gems with compilers, the other runs them without. */
import { posix } from 'node:path';
import type { Generated, WriteRequest } from '../detector.ts';
import type { FrontEnd } from '../front-end.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';
import { COPY_NODE, installFrontEnd } from './front-end.ts';
import { STATIC_PORT, writeStatic } from './static.ts';

interface RubyRecipe {
  readonly image: string;
  /** Files that bundler reads: Gemfile, its lockfile, a version file that it may refer to. */
  readonly manifests: readonly string[];
  readonly hasLock: boolean;
  readonly rails: boolean;
  /** Node.js packages that build the assets, or null. */
  readonly frontEnd: FrontEnd | null;
  /** Debian packages of the gems: to build, and to run. */
  readonly buildPackages: readonly string[];
  readonly runPackages: readonly string[];
}

const GEMS = '/bundle';

export function writeRuby(recipe: RubyRecipe, request: WriteRequest): Generated {
  const { startCommand = '' } = request.facts;
  const { image, rails, frontEnd, runPackages } = recipe;
  const node = frontEnd === null ? [] : [`FROM ${request.surroundings.baseImages.node} AS node`];
  const run = [
    `FROM ${image}`,
    ...aptInstall(runPackages),
    `${environmentOf(recipe)} HOME=/tmp${rails ? ' RAILS_SERVE_STATIC_FILES=1' : ''}`,
    `COPY --from=build ${GEMS} ${GEMS}`,
    `COPY --from=build --chown=${USER} /app /app`,
    ...runAs(startCommand),
  ];
  return { text: stages(node, buildStage(recipe, request), run), files: [] };
}

/** For builds that produce only files. */
export function writeRubySite(recipe: RubyRecipe, request: WriteRequest): Generated {
  const { facts, stated, surroundings } = request;
  const site = writeStatic({
    base: surroundings.baseImages.static,
    port: facts.port ?? STATIC_PORT,
    source: { stage: 'build', folder: posix.join('/app', facts.outputDirectory ?? '') },
    singlePage: stated.singlePage?.value ?? false,
  });
  return { text: `${stages(buildStage(recipe, request))}\n${site.text}`, files: site.files };
}

function environmentOf({ hasLock, rails }: RubyRecipe): string {
  const bundle = `BUNDLE_PATH=${GEMS} BUNDLE_WITHOUT=development:test${hasLock ? ' BUNDLE_DEPLOYMENT=1' : ''}`;
  return `ENV ${bundle} RACK_ENV=production${rails ? ' RAILS_ENV=production RAILS_LOG_TO_STDOUT=1' : ''}`;
}

function buildStage(recipe: RubyRecipe, { facts, stated, surroundings: { cacheScope } }: WriteRequest): string[] {
  const { installCommand = '', buildCommand } = facts;
  const { image, frontEnd } = recipe;
  return [
    `FROM ${image} AS build`,
    ...aptInstall(['build-essential', 'git', 'libyaml-dev', 'pkg-config', ...recipe.buildPackages]),
    'WORKDIR /app',
    environmentOf(recipe),
    stated.installCommand === undefined ? `COPY ${recipe.manifests.join(' ')} ./` : 'COPY . .',
    `RUN ${cacheMount(cacheScope, 'gems', '/root/.bundle/cache')} ${installCommand}`,
    // The gems call Node.js to build the assets.
    ...(frontEnd === null ? [] : [...COPY_NODE, ...installFrontEnd(frontEnd, cacheScope)]),
    'COPY . .',
    ...(buildCommand === undefined ? [] : [`RUN ${buildCommand}`]),
  ];
}
