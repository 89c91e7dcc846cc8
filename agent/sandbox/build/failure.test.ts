import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildLimits } from '../../../protocol/job.ts';
import { explainFailure } from './failure.ts';
import type { Taken } from './limits.ts';

const limits = BuildLimits.parse({});
const nothing: Taken = {
  processes: 0,
  refusedForks: 0,
  oomKills: 0,
  hostOomKills: 0,
  engineOomKills: 0,
  engineBytes: 0,
  peakBytes: null,
  crowdedMs: 0,
  diskBytes: 0,
  diskLimitBytes: 1e10,
  inodes: 0,
  inodeLimit: 1e6,
  hostFreeBytes: 1e10,
  logBytes: 0,
  behindMs: 0,
};

const NO_VARIABLES = { app: [], unmounted: [], mounts: false };

const sentence = (command: string, exitCode: number, ...lastLines: string[]): string => {
  const error = `executor failed running [/bin/sh -c ${command}]: exit code: ${exitCode}`;
  return explainFailure(error, { command: `RUN ${command}`, error, lastLines }, nothing, limits, NO_VARIABLES).message;
};

test('the message names the command and its exit code', () => {
  assert.equal(sentence('npm run build', 1, 'boom'), '`RUN npm run build` ended with exit code 1.');
});

test('for programs that images of Node.js no longer have, the message says how to install them', () => {
  assert.equal(
    sentence('corepack enable', 127, '/bin/sh: 1: corepack: not found'),
    '`RUN corepack enable` ended with exit code 127. Images of Node.js 26 no longer have corepack: put `RUN npm install --global corepack` above it.',
  );
  assert.match(sentence('yarn', 127, 'bash: line 1: yarn: command not found'), /no longer have yarn/);
  assert.doesNotMatch(sentence('make', 127, '/bin/sh: 1: make: not found'), /Node/);
});

test('for a COPY without its file, the message names the file and says where a build gets its files', () => {
  const absent = (command: string, message: string): string =>
    explainFailure(message, { command, error: message, lastLines: [] }, nothing, limits, NO_VARIABLES).message;
  const key = 'failed to compute cache key: ';
  for (const words of [
    '"/package.json" not found: not found',
    'failed to calculate checksum of ref x::y: "/package.json": not found',
  ])
    assert.equal(
      absent('COPY package.json ./', `${key}${words}`),
      'There is no package.json for `COPY package.json ./`: a build gets the files of the commit from the root directory on, without those that .dockerignore names.',
    );
  assert.doesNotMatch(absent('COPY --from=build /app/dist ./', `${key}"/app/dist": not found`), /dockerignore/);
});

test('a full heap counts as out of memory, whatever the exit code', () => {
  for (const line of [
    'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    'Caused by: java.lang.OutOfMemoryError: Java heap space',
  ]) {
    const error = { command: 'RUN npm run build', error: 'exit code: 134', lastLines: [line, 'Aborted'] };
    const { code, message } = explainFailure('exit code: 134', error, nothing, limits, NO_VARIABLES);
    assert.equal(code, 'ORK_BUILD_MEMORY');
    assert.match(message, /part of the build memory: 1 GiB, in `RUN npm run build`; .* usually need 2 GiB\.$/);
  }
});

test('a variable that a package manager lacks is named as the build secret to set', () => {
  const said = 'Set it with `orkestr env set --build NPM_TOKEN=-`.';
  for (const line of [
    'error Failed to replace env in config: ${NPM_TOKEN}',
    'Usage Error: Environment variable not found (NPM_TOKEN) in /app/.yarnrc.yml',
  ])
    assert.ok(sentence('npm ci', 1, line).endsWith(said), line);
});

test('for a package that needs a compiler or git, the message says how to install them', () => {
  const mend =
    /no git: put `apt-get update && apt-get install -y python3 make g\+\+ git ca-certificates` above it, or in/;
  for (const line of [
    'npm error gyp ERR! find Python checking Python explicitly set from environment',
    'gyp ERR! stack Error: not found: make',
    'npm error syscall spawn git',
    '/bin/sh: 1: git: not found',
    "error Couldn't find the binary git",
  ])
    assert.match(sentence('npm ci', 1, line, 'npm error'), mend, line);
  assert.doesNotMatch(sentence('npm ci', 1, 'gyp ERR! build error'), mend);
});
