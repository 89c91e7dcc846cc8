/** Generated Dockerfile for Rust: one binary, built with cached dependencies. */
import type { Generated, WriteRequest } from '../detector.ts';
import type { RustPackages } from '../rust/libraries.ts';
import { aptInstall, binaryStage, cacheMount, stages } from './common.ts';

interface RustRecipe {
  readonly image: string;
  /** Folder of the app in the build context: a member of a workspace, else `.`. */
  readonly folder: string;
  /** Name of the binary in target/release. */
  readonly binary: string;
  /** Debian packages of its crates: to build, and to run. */
  readonly packages: RustPackages;
}

/**
 * cargo rebuilds only sources newer than the last build. In a build context all files have their commit's time, which
 * can be older than the last build: if an earlier commit is deployed, or one that was made during that build.
 */
const TOUCH_SOURCES = 'find . -path ./target -prune -o -type f -exec touch {} +';

export function writeRust(recipe: RustRecipe, { facts, surroundings }: WriteRequest): Generated {
  const { image, folder, binary, packages } = recipe;
  const { installCommand, buildCommand = '', startCommand = '' } = facts;
  const { baseImages, cacheScope } = surroundings;
  const mounts = [
    cacheMount(cacheScope, 'cargo', '/cargo/registry'),
    // Compiled dependencies stay here: a layer for them would need every member's manifest and stub sources.
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
  const run = binaryStage({ image: baseImages.debian, packages: packages.run, folder, startCommand });
  return { text: stages(build, run), files: [] };
}
