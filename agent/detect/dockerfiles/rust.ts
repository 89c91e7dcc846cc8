/** Generated Dockerfile for Rust: one binary, built with the dependencies kept in a cache. */
import { posix } from 'node:path';
import type { Generated, WriteRequest } from '../detector.ts';
import type { RustPackages } from '../rust/libraries.ts';
import { aptInstall, cacheMount, COPY_CA_BUNDLE, runAs, stages, USER } from './common.ts';
import { BINARY } from './go.ts';

interface RustRecipe {
  readonly image: string;
  /** Folder of the app in the build context: a member of a workspace, else `.`. */
  readonly folder: string;
  /** Name of the binary in target/release. */
  readonly binary: string;
  /** Debian packages of its crates: to build them, and to run them. */
  readonly packages: RustPackages;
}

/**
 * cargo takes what is older than the last build for built. In a build context all files are as old as their commit, and the
 * next commit may be older than the build of this one: an earlier one is built again, or one was made while this one was built.
 */
const TOUCH_SOURCES = 'find . -path ./target -prune -o -type f -exec touch {} +';

export function writeRust(recipe: RustRecipe, { facts, surroundings }: WriteRequest): Generated {
  const { image, folder, binary, packages } = recipe;
  const { installCommand, buildCommand = '', startCommand = '' } = facts;
  const { baseImages, cacheScope } = surroundings;
  const mounts = [
    cacheMount(cacheScope, 'cargo', '/cargo/registry'),
    // Compiled dependencies stay here: a layer of them apart would need the manifests of every member and stubs of sources.
    cacheMount(cacheScope, 'cargo-target', '/src/target'),
  ].join(' ');
  const build = [
    `FROM ${image} AS build`,
    'WORKDIR /src',
    'ENV CARGO_HOME=/cargo',
    ...aptInstall(packages.build),
    'COPY . .',
    ...(installCommand === undefined ? [] : [`RUN ${installCommand}`]),
    `RUN ${mounts} ${TOUCH_SOURCES} && ${buildCommand} && mkdir -p /out && cp target/release/${binary} /out/app`,
  ];
  const run = [
    `FROM ${baseImages.debian}`,
    ...aptInstall(packages.run),
    'ENV HOME=/tmp',
    COPY_CA_BUNDLE,
    `COPY --chown=${USER} . /app`,
    `COPY --from=build --chown=${USER} /out/app ${BINARY}`,
    ...runAs(startCommand, posix.join('/app', folder)),
  ];
  return { text: stages(build, run), files: [] };
}
