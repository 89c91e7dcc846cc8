/** Generated Dockerfile for Rust: one binary, built with the dependencies kept in a cache. */
import type { Generated, WriteRequest } from '../detector.ts';
import { aptInstall, cacheMount, COPY_CA_BUNDLE, runAs, stages, USER } from './common.ts';
import { BINARY } from './go.ts';

interface RustRecipe {
  readonly image: string;
  /** Name of the binary in target/release. */
  readonly binary: string;
  /** Something links OpenSSL. */
  readonly openssl: boolean;
}

export function writeRust({ image, binary, openssl }: RustRecipe, { facts, surroundings }: WriteRequest): Generated {
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
    ...aptInstall(openssl ? ['pkg-config', 'libssl-dev'] : []),
    'COPY . .',
    ...(installCommand === undefined ? [] : [`RUN ${installCommand}`]),
    `RUN ${mounts} ${buildCommand} && mkdir -p /out && cp target/release/${binary} /out/app`,
  ];
  const run = [
    `FROM ${baseImages.debian}`,
    ...aptInstall(openssl ? ['ca-certificates', 'libssl3'] : []),
    'ENV HOME=/tmp',
    COPY_CA_BUNDLE,
    `COPY --chown=${USER} . /app`,
    `COPY --from=build --chown=${USER} /out/app ${BINARY}`,
    ...runAs(startCommand),
  ];
  return { text: stages(build, run), files: [] };
}
