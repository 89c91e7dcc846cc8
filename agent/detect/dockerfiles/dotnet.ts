/** Generated Dockerfile for .NET: the SDK and the runtime are packages of Ubuntu. */
import { posix } from 'node:path';
import type { Generated, PlanFile, WriteRequest } from '../detector.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';
import { STATIC_PORT, writeStatic } from './static.ts';

interface DotnetRecipe {
  /** `8.0` */
  readonly version: string;
  /** Path of the project file from the root directory. */
  readonly project: string;
  /** Files at the root that a restore reads beside the project. */
  readonly manifests: readonly string[];
  readonly web: boolean;
  /** It was written for an older .NET, which it does without. */
  readonly rollsForward: boolean;
  /** What stands in the place of a global.json that asks for an SDK which is not packaged; null: the repository's. */
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

/** What is published runs in the browser: only files are served. */
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
    // With projects that refer to each other all of them are needed at once.
    ...(project.includes('/')
      ? []
      : [`COPY ${[project, ...manifests].join(' ')} ./`, `RUN ${packages} ${installCommand}`]),
    'COPY . .',
    ...(globalJson === null ? [] : [`COPY ${GLOBAL_JSON} global.json`]),
    `RUN ${packages} ${buildCommand}`,
  ];
}
