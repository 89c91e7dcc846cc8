/** Generated Dockerfile for Go: one binary, static unless a package needs C, in an image with little else. */
import { posix } from 'node:path';
import type { Generated, WriteRequest } from '../detector.ts';
import { aptInstall, binaryStage, cacheMount, copyManifests, stages } from './common.ts';

export interface GoRecipe {
  readonly image: string;
  /** Folder of the module in the build context: a member of a workspace, else `.`. */
  readonly folder: string;
  /** Files that determine the download, whose layer is reused until they change; empty: nothing to download. */
  readonly manifests: readonly string[];
  /** Debian packages for C code: to build, and to run; null if there is none. */
  readonly cgo: { readonly build: readonly string[]; readonly run: readonly string[] } | null;
}

export function writeGo(recipe: GoRecipe, { facts, surroundings }: WriteRequest): Generated {
  const { image, folder, manifests, cgo } = recipe;
  const { installCommand = 'go mod download', buildCommand = '', startCommand = '' } = facts;
  const { baseImages, cacheScope } = surroundings;
  const modules = cacheMount(cacheScope, 'go-modules', '/go/pkg/mod');
  const objects = cacheMount(cacheScope, 'go-build', '/root/.cache/go-build');
  const build = [
    `FROM ${image} AS build`,
    ...aptInstall(cgo?.build ?? []),
    'WORKDIR /src',
    `ENV CGO_ENABLED=${cgo === null ? 0 : 1} GOPATH=/go GOCACHE=/root/.cache/go-build GOFLAGS=-buildvcs=false`,
    ...(manifests.length === 0 ? [] : [...copyManifests(manifests), `RUN ${modules} ${installCommand}`]),
    'COPY . .',
    ...(folder === '.' ? [] : [`WORKDIR ${posix.join('/src', folder)}`]),
    `RUN ${modules} ${objects} ${buildCommand}`,
  ];
  const run = binaryStage({ image: baseImages.debian, packages: cgo?.run ?? [], folder, startCommand });
  return { text: stages(build, run), files: [] };
}
