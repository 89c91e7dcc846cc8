import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrkestrError } from '../../../protocol/errors.ts';
import { type Dockerfile, type DockerfileRequest, readDockerfile } from './dockerfile.ts';

const read = (text: string, more: Partial<DockerfileRequest> = {}): Dockerfile =>
  readDockerfile({
    text,
    origin: 'repository',
    engineVersion: '29.1.0',
    environmentId: 'env',
    secrets: [],
    buildArgs: {},
    ...more,
  });

const images = (...lines: string[]): readonly string[] => read(lines.join('\n')).images;

test('images come from FROM, COPY --from and RUN --mount, stages and scratch are no images', () => {
  assert.deepEqual(
    images(
      'FROM --platform=linux/amd64 node:24 AS build',
      'COPY --from=ghcr.io/a/tools:1 /x /x',
      'FROM build AS test',
      'RUN --mount=type=bind,from=alpine:3,target=/a --mount=type=cache,target=/c true',
      'FROM scratch',
      'COPY --from=build /a /a',
      'COPY --from=0 /a /a',
    ),
    ['node:24', 'ghcr.io/a/tools:1', 'alpine:3'],
  );
});

test('variables of FROM are filled in from ARG lines before the first stage', () => {
  assert.deepEqual(
    images(
      'ARG VERSION=24 SUFFIX="-slim"',
      'ARG NAME=node:${VERSION}${SUFFIX}',
      'FROM $NAME',
      'ARG NAME=other',
      'FROM ${BASE:-debian:12}',
      'FROM ${VERSION:+python:3}',
    ),
    ['node:24-slim', 'debian:12', 'python:3'],
  );
});

test('continued lines, comments between them and another escape character are understood', () => {
  assert.deepEqual(images('from \\', '# a comment', '  debian:12 \\', '  as a', 'FROM a'), ['debian:12']);
  assert.deepEqual(images('# escape=`', 'FROM `', 'debian:12'), ['debian:12']);
});

test('text of a here-document is no instruction', () => {
  assert.deepEqual(images('FROM debian:12', 'RUN <<EOF', 'FROM evil', 'EOF', 'FROM other:1'), ['debian:12', 'other:1']);
});

test("Docker's own frontend is taken out of the text, and line numbers stay", () => {
  for (const line of [
    '# syntax=docker/dockerfile:1',
    '#syntax = docker.io/docker/dockerfile:1.7-labs',
    '// syntax=docker/dockerfile',
  ]) {
    const { text } = read(`${line}\n# escape=\`\nFROM debian:12\n`);
    assert.doesNotMatch(text, /syntax/);
    assert.equal(text.split('\n').indexOf('FROM debian:12'), 2);
  }
});

test('a foreign frontend is refused, wherever BuildKit would find it', () => {
  for (const text of [
    '# syntax=evil.example/frontend\nFROM a',
    '#Syntax=docker/dockerfile.evil.example/x\nFROM a',
    '# escape=`\n# syntax=evil/x\nFROM a',
    '#!/bin/sh\n# syntax=evil/x\nFROM a',
    '// syntax=evil/x\nFROM a',
    '\uFEFF# syntax=evil/x\nFROM a',
    ' {"syntax":"evil/x"}',
  ]) {
    assert.throws(
      () => read(text),
      (error: OrkestrError) => error.code === 'ORK_DOCKERFILE_REFUSED',
      text,
    );
  }
});

test('a comment after the first instruction is only a comment', () => {
  assert.deepEqual(images('FROM debian:12', '# syntax=evil/x'), ['debian:12']);
});
