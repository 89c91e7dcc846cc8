import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrkestrError } from '../../../protocol/errors.ts';
import { read, refusal } from './test-request.ts';

const images = (...lines: string[]): readonly string[] => read(lines.join('\n')).images;

test('images come from FROM, COPY --from and RUN --mount, and neither stages nor scratch count as images', () => {
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

test('variables in FROM take their values from ARG lines before the first stage', () => {
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

test('the text of a here-document is not read as an instruction', () => {
  assert.deepEqual(images('FROM debian:12', 'RUN <<EOF', 'FROM evil', 'EOF', 'FROM other:1'), ['debian:12', 'other:1']);
});

test("Docker's own frontend line is removed from the text, and line numbers stay the same", () => {
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

test('a foreign frontend is rejected wherever BuildKit would find it', () => {
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

test('a build arg that controls the engine is rejected, for example one that names a foreign frontend', () => {
  for (const name of ['BUILDKIT_SYNTAX', 'buildkit_syntax', 'BUILDKIT_CACHE_MOUNT_NS']) {
    const said = refusal('FROM a', { buildArgs: { V: '1', [name]: 'evil.example/frontend:1' } });
    assert.match(said, new RegExp(`^ORK_DOCKERFILE_REFUSED: The build arg ${name} is refused`));
  }
  assert.equal(refusal('FROM a', { buildArgs: { MY_BUILDKIT_: 'x' } }), 'taken');
});

test('a comment after the first instruction is only a comment', () => {
  assert.deepEqual(images('FROM debian:12', '# syntax=evil/x'), ['debian:12']);
});

test('an image whose name cannot be determined is rejected instead of left to the engine', () => {
  for (const line of [
    'FROM ${A#x}img',
    'FROM pri\\vate/img',
    'FROM a"b"c',
    'FROM debian\nCOPY --from=$X a b',
    'FROM ${A-x}',
  ]) {
    assert.match(refusal(line), /ORK_DOCKERFILE_REFUSED: .*cannot be read which image/, line);
  }
  assert.deepEqual(
    images('FROM a', 'RUN --mount=type=bind,from=b,from=c,target=/x ls'),
    ['a', 'c'],
    'the last one counts',
  );
});

test('nested defaults, build args and the platform are substituted', () => {
  assert.deepEqual(images('ARG B=node:24', 'FROM ${A:-${B}}', 'FROM base-$TARGETARCH', 'FROM ${BUILDPLATFORM:+x}'), [
    'node:24',
    'base-amd64',
    'x',
  ]);
  const { images: given } = read('ARG V=1\nFROM node:$V', { buildArgs: { V: '24', UNUSED: 'x' } });
  assert.deepEqual(given, ['node:24']);
});

test('a value of several pieces is joined as the engine joins them', () => {
  assert.deepEqual(images('ARG a="deb""ian"', "ARG b=:'12'", 'FROM $a$b'), ['debian:12']);
  assert.deepEqual(images('ARG BASE="node":22', 'FROM ${BASE}'), ['node:22']);
  assert.deepEqual(images('ARG a=""registry.example.com/team/private:1', 'FROM $a'), [
    'registry.example.com/team/private:1',
  ]);
  assert.deepEqual(images('ARG TARGETARCH', 'ARG TARGETOS=plan9', 'FROM $TARGETOS-$TARGETARCH'), ['plan9-amd64']);
});

test('a FROM that is empty, or that engines read in different ways, is rejected', () => {
  const image = 'registry.example.com/team/private:1';
  for (const lines of [
    ['FROM $a'],
    ['ARG a=""', 'FROM $a'],
    [`FROM \${TARGETSTAGE:+${image}}`],
    ['FROM debian AS default', `FROM \${TARGETSTAGE:-${image}}`],
    ['ARG HTTP_PROXY', `ARG a=\${HTTP_PROXY:+${image}}`, 'FROM ${a:-debian}'],
    [`ARG a=${image}`, 'ARG a', 'FROM ${a:-debian}'],
    [`ARG y=${image}`, 'ARG a=x\\ y=debian', 'FROM $y'],
    ["ARG a='$b'", `ARG c=\${a:+${image}}`, 'FROM ${c:-debian}'],
    ['FROM debian$1x'],
    ['ARG a="debian', 'FROM $a'],
  ]) {
    assert.match(refusal(lines.join('\n')), /ORK_DOCKERFILE_REFUSED/, lines.join('\n'));
  }
  const { images: undeclared } = read(`FROM \${V:-${image}}`, { buildArgs: { V: 'debian' } });
  assert.deepEqual(undeclared, [image], 'a build arg that no ARG names is none');
});

test('an escape directive moves to the first line, which every engine reads, and line numbers stay the same', () => {
  const { text } = read('# syntax=docker/dockerfile:1\n# check=skip=all\n# escape=`\nFROM debian `\n:12');
  assert.deepEqual(text.split('\n').slice(0, 4), ['# escape=`', '# check=skip=all', '#', 'FROM debian `']);
  assert.match(refusal('# escape=x\nFROM a'), /escape character/);
  assert.match(refusal('# escape=`\nFROM a\nRUN echo ` <<A\nA'), /line 3: Here-documents and another escape/);
});

test('characters that only some programs treat as spaces hide nothing', () => {
  // BuildKit takes each for a comment: the next line is a separate instruction.
  for (const comment of ['# a\u2028b \\', '\u0085# a \\']) {
    assert.match(
      read(`FROM a\n${comment}\nRUN --mount=type=cache,target=/c ls`).text,
      /id=env-/,
      JSON.stringify(comment),
    );
  }
  assert.match(refusal('# a=\u2028b\n# syntax=evil.example/x\nFROM a'), /foreign frontend/);
  // Not a continuation for BuildKit: only spaces and tabs may follow the backslash.
  for (const space of ['\u00a0', '\f', '\u0085', '\ufeff']) {
    assert.match(read(`FROM a\nRUN echo \\${space}\nRUN --mount=type=cache,target=/c ls`).text, /id=env-/);
  }
  assert.match(read('FROM a\r\nRUN echo \\\r\n x\r\nRUN --mount=type=cache,target=/c ls\r\n').text, /^RUN .*id=env-/m);
  // BuildKit reads flags byte by byte, and one byte of each of these characters is a space.
  for (const character of ['\u00e0', '\u0085', '\u00a0']) {
    const line = `RUN --mount=type=tmpfs,target=/t${character}--mount=type=cache,target=/c ls`;
    assert.match(refusal(`FROM a\n${line}`), /other characters than those of ASCII/);
  }
  assert.match(refusal('FROM a\nRUN \u0085--mount=type=cache,target=/c ls'), /other characters than those of ASCII/);
});

test('a hostile Dockerfile of a megabyte is read within the time limit', () => {
  const long = 1_000_000;
  for (const text of [
    '\n'.repeat(long),
    `RUN a${' '.repeat(long)}b`,
    `# a=b${' '.repeat(long)}c`,
    'RUN --mount=type=cache,target=/c a\n'.repeat(long / 40),
    `RUN "${'\\"'.repeat(long / 2)}`,
    `FROM a${' as'.repeat(long / 3)}`,
    `FROM ${'${A:-'.repeat(long / 5)}`,
    'RUN a \\\n'.repeat(long / 8),
  ]) {
    const began = performance.now();
    refusal(text);
    assert.ok(performance.now() - began < 20_000, `${text.slice(0, 30)} took ${performance.now() - began} ms`);
  }
});
