/** Generated Dockerfile for Deno, installed by npm in the Node.js image. */
import { posix } from 'node:path';
import type { Generated, WriteRequest } from '../detector.ts';
import { copyManifests, runAs, stages, USER } from './common.ts';

interface DenoRecipe {
  /** The npm package: `deno@2`. */
  readonly setup: string;
  /** Folder of the app in the build context: a member of a workspace, else `.`. */
  readonly folder: string;
  /** Files that determine the install, whose layer is reused until they change; empty: it needs all files. */
  readonly manifests: readonly string[];
  /** Command that fetches imports by URL; null if the install does. */
  readonly cache: string | null;
}

const CACHE = '/deno';

export function writeDeno(
  { setup, folder, manifests, cache }: DenoRecipe,
  { facts, stated, surroundings }: WriteRequest,
): Generated {
  const { installCommand, buildCommand, startCommand = '' } = facts;
  const install = installCommand === undefined ? [] : [`RUN ${installCommand}`];
  const isStated = stated.installCommand !== undefined;
  const early = manifests.length > 0 && !isStated;
  const base = [
    `FROM ${surroundings.baseImages.node} AS deno`,
    `RUN npm install --global --no-fund --no-audit ${setup}`,
  ];
  const build = [
    'FROM deno AS build',
    'WORKDIR /app',
    `ENV DENO_DIR=${CACHE} DENO_NO_UPDATE_CHECK=1`,
    ...(early ? [...copyManifests(manifests), ...install] : []),
    'COPY . .',
    ...(folder === '.' ? [] : [`WORKDIR ${posix.join('/app', folder)}`]),
    ...(early ? [] : install),
    ...(cache === null || isStated ? [] : [`RUN ${cache}`]),
    ...(buildCommand === undefined ? [] : [`RUN ${buildCommand}`]),
    `RUN mkdir -p ${CACHE}`,
  ];
  const run = [
    'FROM deno',
    `ENV DENO_DIR=${CACHE} DENO_NO_UPDATE_CHECK=1 HOME=/tmp`,
    `COPY --from=build --chown=${USER} ${CACHE} ${CACHE}`,
    `COPY --from=build --chown=${USER} /app /app`,
    ...runAs(startCommand, posix.join('/app', folder)),
  ];
  return { text: stages(base, build, run), files: [] };
}
