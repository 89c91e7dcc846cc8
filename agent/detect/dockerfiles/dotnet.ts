/** Generated Dockerfile for .NET, with SDK and runtime from Ubuntu's packages. */
import { posix } from 'node:path';
import type { Generated, PlanFile, WriteRequest } from '../detector.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';
import { STATIC_PORT, writeStatic } from './static.ts';

interface DotnetRecipe {
  /** `8.0` */
  readonly version: string;
  /** Path of the project file from the root directory. */
  readonly project: string;
  /** Files at the root that a restore reads in addition to the project. */
  readonly manifests: readonly string[];
  readonly web: boolean;
  /** The app targets an older .NET than the one it runs on. */
  readonly rollsForward: boolean;
  /** Replaces a global.json that asks for an SDK without a package; null: keep the repository's. */
  readonly globalJson: string | null;
}

const GLOBAL_JSON = '.orkestr/global.json';

export function writeDotnet(recipe: DotnetRecipe, request: WriteRequest): Generated {
  const { version, web, rollsForward } = recipe;
  const { startCommand = '' } = request.facts;
  const run = [
    `FROM ${request.surroundings.baseImages.ubuntu}`,
    ...aptInstall(['ca-certificates', `${web ? 'aspnetcore' : 'dotnet'}-runtime-${version}`]),
    `ENV HOME=/tmp DOTNET_NOLOGO=1${web ? ' ASPNETCORE_FORWARDEDHEADERS_ENABLED=true' : ''}${rollsForward ? ' DOTNET_ROLL_FORWARD=Major' : ''}`,
    `COPY --from=build --chown=${USER} /out /app`,
    ...runAs(startCommand),
  ];
  return { text: stages(buildStage(recipe, request), run), files: replacedFiles(recipe) };
}

/** The published app runs in the browser: only its files are served. */
export function writeBlazor(recipe: DotnetRecipe, request: WriteRequest): Generated {
  const { facts, stated, surroundings } = request;
  const site = writeStatic({
    base: surroundings.baseImages.static,
    port: facts.port ?? STATIC_PORT,
    source: { stage: 'build', folder: posix.join('/out', facts.outputDirectory ?? '') },
    singlePage: stated.singlePage?.value ?? true,
  });
  const text = `${stages(buildStage(recipe, request))}\n${site.text}`;
  return { text, files: [...replacedFiles(recipe), ...site.files] };
}

const replacedFiles = ({ globalJson }: DotnetRecipe): PlanFile[] =>
  globalJson === null ? [] : [{ path: GLOBAL_JSON, text: globalJson }];

function buildStage(recipe: DotnetRecipe, { facts, surroundings }: WriteRequest): string[] {
  const { version, project, manifests, globalJson } = recipe;
  const { installCommand = '', buildCommand = '' } = facts;
  const { baseImages, cacheScope } = surroundings;
  const packages = cacheMount(cacheScope, 'nuget', '/root/.nuget/packages');
  return [
    `FROM ${baseImages.ubuntu} AS build`,
    ...aptInstall(['ca-certificates', `dotnet-sdk-${version}`]),
    'WORKDIR /src',
    'ENV DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1',
    // Projects that refer to each other need all of them for the restore.
    ...(project.includes('/')
      ? []
      : [`COPY ${[project, ...manifests].join(' ')} ./`, `RUN ${packages} ${installCommand}`]),
    'COPY . .',
    ...(globalJson === null ? [] : [`COPY ${GLOBAL_JSON} global.json`]),
    `RUN ${packages} ${buildCommand}`,
  ];
}
