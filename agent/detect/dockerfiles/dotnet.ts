/** Generated Dockerfile for .NET: the SDK and the runtime are packages of Ubuntu. */
import type { Generated, WriteRequest } from '../detector.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';

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

export function writeDotnet(recipe: DotnetRecipe, { facts, surroundings }: WriteRequest): Generated {
  const { version, project, manifests, web, rollsForward, globalJson } = recipe;
  const { installCommand = '', buildCommand = '', startCommand = '' } = facts;
  const { baseImages, cacheScope } = surroundings;
  const packages = cacheMount(cacheScope, 'nuget', '/root/.nuget/packages');
  const folder = project.includes('/') ? `${project.slice(0, project.lastIndexOf('/'))}/` : './';
  const build = [
    `FROM ${baseImages.ubuntu} AS build`,
    ...aptInstall(['ca-certificates', `dotnet-sdk-${version}`]),
    'WORKDIR /src',
    'ENV DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1',
    // With projects that refer to each other all of them are needed at once.
    ...(folder === './' ? [`COPY ${[project, ...manifests].join(' ')} ./`, `RUN ${packages} ${installCommand}`] : []),
    'COPY . .',
    ...(globalJson === null ? [] : [`COPY ${GLOBAL_JSON} global.json`]),
    `RUN ${packages} ${buildCommand}`,
  ];
  const run = [
    `FROM ${baseImages.ubuntu}`,
    ...aptInstall(['ca-certificates', `${web ? 'aspnetcore' : 'dotnet'}-runtime-${version}`]),
    `ENV HOME=/tmp DOTNET_NOLOGO=1${rollsForward ? ' DOTNET_ROLL_FORWARD=Major' : ''}`,
    `COPY --from=build --chown=${USER} /out /app`,
    ...runAs(startCommand),
  ];
  return { text: stages(build, run), files: globalJson === null ? [] : [{ path: GLOBAL_JSON, text: globalJson }] };
}
