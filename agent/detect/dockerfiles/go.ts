/** Generated Dockerfile for Go: one static binary, and an image with little else. */
import type { Generated, WriteRequest } from '../detector.ts';
import { cacheMount, runAs, stages, USER } from './common.ts';

/** Where the binary lies: outside /app, where the repository may have any name. */
export const BINARY = '/usr/local/bin/app';

export interface GoRecipe {
  readonly image: string;
  /** The module needs others, and they are not vendored. */
  readonly downloads: boolean;
  readonly hasSum: boolean;
}

export function writeGo({ image, downloads, hasSum }: GoRecipe, { facts, surroundings }: WriteRequest): Generated {
  const { installCommand = 'go mod download', buildCommand = '', startCommand = '' } = facts;
  const { baseImages, cacheScope } = surroundings;
  const modules = cacheMount(cacheScope, 'go-modules', '/go/pkg/mod');
  const objects = cacheMount(cacheScope, 'go-build', '/root/.cache/go-build');
  const build = [
    `FROM ${image} AS build`,
    'WORKDIR /src',
    'ENV CGO_ENABLED=0 GOPATH=/go GOCACHE=/root/.cache/go-build GOFLAGS=-buildvcs=false',
    ...(downloads ? [`COPY go.mod ${hasSum ? 'go.sum ' : ''}./`, `RUN ${modules} ${installCommand}`] : []),
    'COPY . .',
    `RUN ${modules} ${objects} ${buildCommand}`,
  ];
  const run = [
    `FROM ${baseImages.debian}`,
    'ENV HOME=/tmp',
    // The sources come along for the files that apps read at run time: templates, migrations, assets.
    `COPY --chown=${USER} . /app`,
    `COPY --from=build --chown=${USER} /out/app ${BINARY}`,
    ...runAs(startCommand),
  ];
  return { text: stages(build, run), files: [] };
}
