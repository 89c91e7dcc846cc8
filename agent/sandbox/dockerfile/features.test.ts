import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOlder } from './features.ts';
import { refusal } from './test-request.ts';

const read = (engineVersion: string, ...lines: string[]): string =>
  refusal(['FROM debian:12', ...lines].join('\n'), { engineVersion });

test('each feature is rejected with line and version on engines too old for it, and accepted from its first version', () => {
  for (const [line, first, before] of [
    ['RUN <<EOF\necho a\nEOF', '23.0.0', '20.10.24+dfsg1'],
    ['COPY <<"EOF" /a\ntext\nEOF', '23.0.0', '20.10.24'],
    ['COPY --link a b', '23.0.0', '20.10.24'],
    ['ADD --link a b', '23.0.0', '20.10.24'],
    ['RUN --network=none true', '23.0.0', '20.10.24'],
    ['ADD --checksum=sha256:0 https://e.example/a b', '25.0.0', '24.0.9'],
    ['HEALTHCHECK --start-interval=1s CMD true', '25.0.1', '24.0.9'],
    ['RUN --mount=type=secret,id=A,env=A true', '27.3.1', '27.2.1'],
    ['COPY --exclude=*.md a b', '28.5.0', '28.4.0'],
    ['COPY --parents a b', '29.1.0', '29.0.3'],
  ] as const) {
    assert.equal(read(first, line), 'taken', line);
    const told = read(before, 'RUN true', line);
    assert.match(told, /^ORK_BUILD_FEATURE: Line 3 of the Dockerfile uses /, line);
    const [, version = ''] = /from ([\d.]+) on/.exec(told) ?? [];
    assert.ok(first.startsWith(version) && told.includes(`this host has ${before}`), told);
  }
});

test('features that every supported engine has are accepted on the oldest one', () => {
  for (const line of [
    'COPY --chown=1:1 --chmod=600 a b',
    'COPY --from=debian:12 a b',
    'RUN --mount=type=cache,target=/c true',
    'RUN cat "<<EOF" a<<<b 1<2',
    'RUN sh -c "cat <<EOF"',
    'RUN echo $((1<<2))',
    'HEALTHCHECK --interval=1s --start-period=2s CMD true',
  ]) {
    assert.equal(read('20.10.24', line), 'taken', line);
  }
});

test("privileges, devices and the host's network are rejected on every engine", () => {
  for (const flag of ['--security=insecure', '--network=host', '--device=a.example/b']) {
    assert.match(read('29.1.0', `RUN ${flag} true`), /^ORK_DOCKERFILE_REFUSED: .*line 2: A build has no/, flag);
  }
});

test('the text of a here-document counts neither as an instruction nor as a feature', () => {
  assert.equal(
    read('29.1.0', 'RUN <<A <<-B', 'RUN --network=host', 'A', 'COPY --security=insecure', '\tB', 'USER 1'),
    'taken',
  );
  assert.match(read('29.1.0', 'RUN <<A', ' A', 'A', 'RUN --network=host true'), /line 5/);
});

test('versions are compared as numbers', () => {
  assert.deepEqual(
    [
      isOlder('20.10.24+dfsg1', '23.0'),
      isOlder('27.10.1', '27.3'),
      isOlder('28.5.0-rc.1', '28.5'),
      isOlder('9.9', '23.0'),
    ],
    [true, false, false, true],
  );
});
