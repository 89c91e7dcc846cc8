/** Generated Dockerfile for Go: one static binary, and an image with little else. */
import type { Facts, Generated, Surroundings } from '../detector.ts';
import { startArgv } from '../start-command.ts';
import { cacheMount, execForm, USER } from './common.ts';

/** Where the binary lies: outside /app, where the repository may have any name. */
export const BINARY = '/usr/local/bin/app';

export interface GoRecipe {
  /** The module needs others, and they are not vendored. */
  readonly downloads: boolean;
  readonly hasSum: boolean;
}

export function writeGo(
  { downloads, hasSum }: GoRecipe,
  { buildCommand = '', startCommand = '' }: Facts,
  { baseImages, cacheScope }: Surroundings,
): Generated {
  const modules = cacheMount(cacheScope, 'go-modules', '/go/pkg/mod');
  const objects = cacheMount(cacheScope, 'go-build', '/root/.cache/go-build');
  const lines = [
    `FROM ${baseImages.go} AS build`,
    'WORKDIR /src',
    'ENV CGO_ENABLED=0 GOPATH=/go GOCACHE=/root/.cache/go-build GOFLAGS=-buildvcs=false',
    ...(downloads ? [`COPY go.mod ${hasSum ? 'go.sum ' : ''}./`, `RUN ${modules} go mod download`] : []),
    'COPY . .',
    `RUN ${modules} ${objects} ${buildCommand}`,
    '',
    `FROM ${baseImages.debian}`,
    'ENV HOME=/tmp',
    // The sources come along for the files that apps read at run time: templates, migrations, assets.
    `COPY --chown=${USER} . /app`,
    `COPY --from=build --chown=${USER} /out/app ${BINARY}`,
    'WORKDIR /app',
    `USER ${USER}`,
    'ENTRYPOINT []',
    `CMD ${execForm(startArgv(startCommand))}`,
  ];
  return { text: `${lines.join('\n')}\n`, files: [] };
}
