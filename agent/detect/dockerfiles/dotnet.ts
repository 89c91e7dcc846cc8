/** Generated Dockerfile for .NET: the SDK and the runtime are packages of Ubuntu. */
import type { Generated, WriteRequest } from '../detector.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';

export interface DotnetRecipe {
  /** `8.0` */
  readonly version: string;
  /** Path of the project file from the root directory. */
  readonly project: string;
  readonly web: boolean;
}

export function writeDotnet({ version, project, web }: DotnetRecipe, { facts, surroundings }: WriteRequest): Generated {
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
    ...(folder === './' ? [`COPY ${project} ./`, `RUN ${packages} ${installCommand}`] : []),
    'COPY . .',
    `RUN ${packages} ${buildCommand}`,
  ];
  const run = [
    `FROM ${baseImages.ubuntu}`,
    ...aptInstall(['ca-certificates', `${web ? 'aspnetcore' : 'dotnet'}-runtime-${version}`]),
    'ENV HOME=/tmp DOTNET_NOLOGO=1',
    `COPY --from=build --chown=${USER} /out /app`,
    ...runAs(startCommand),
  ];
  return { text: stages(build, run), files: [] };
}
