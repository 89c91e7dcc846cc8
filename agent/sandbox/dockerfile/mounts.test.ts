import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read, refusal } from './test-request.ts';

const lines = (...all: string[]): string => ['FROM debian:12', ...all].join('\n');
test('ids of caches and secrets get the environment as a prefix, and nothing else changes', () => {
  for (const [written, built] of [
    ['RUN --mount=type=cache,target=/c a', 'RUN --mount=type=cache,target=/c,id=env-/c a'],
    ['run --mount=type=cache,id=x,dst=/c a', 'run --mount=type=cache,id=env-x,dst=/c a'],
    ['RUN --mount=target=/c,TYPE=Cache,ID=x a', 'RUN --mount=target=/c,type=Cache,id=env-x a'],
    ['RUN --mount=type=secret,id=A a', 'RUN --mount=type=secret,id=env-A,target=/run/secrets/A a'],
    ['RUN --mount=type=secret,source=A,target=/t a', 'RUN --mount=type=secret,target=/t,id=env-A a'],
    ['RUN --mount=type=secret,target=/t/A a', 'RUN --mount=type=secret,target=/t/A,id=env-A a'],
    ['RUN --mount=type=secret,id=A,env a', 'RUN --mount=type=secret,env=A,id=env-A a'],
    ['RUN --mount=type=secret,id=A,env=X,required a', 'RUN --mount=type=secret,env=X,required,id=env-A a'],
    ['RUN --mount=type=bind,from=x,target=/t a', 'RUN --mount=type=bind,from=x,target=/t a'],
    ['RUN --mount=type=tmpfs,target=/t a', 'RUN --mount=type=tmpfs,target=/t a'],
    ['RUN echo --mount=type=cache,target=/c', 'RUN echo --mount=type=cache,target=/c'],
    ['RUN -- --mount=type=cache,target=/c', 'RUN -- --mount=type=cache,target=/c'],
  ] as const) {
    assert.equal(read(lines(written)).text, lines(built), written);
  }
});

test('a cache id is prefixed however its flag is spelt: quoted, escaped, over several lines', () => {
  for (const flag of [
    '--mount=type=ca\\che,id=x,target=/c',
    '--mount="type=cache",id=x,target=/c',
    "--mo'unt'=type=cache,i\\d=x,target=/c",
    '--mount=type=cache,\\\nid=x,target=/c',
    '--mount=type=cache\\\n# a comment\n\n,id=x,target=/c',
    '\\\n  --mount=type=cache,id=x,target=/c',
    '--network=none --mount=type=cache,id=x,target=/c',
    '--mount=type=bind,type=cache,id=y,id=x,target=/c',
  ]) {
    const { text } = read(lines(`RUN ${flag} ls`, 'USER 7'));
    assert.match(text, /id=env-x/, flag);
    assert.equal(text.split('\n').indexOf('USER 7'), lines(`RUN ${flag} ls`, 'USER 7').split('\n').indexOf('USER 7'));
  }
});

test('a mount that could evade the prefix is rejected', () => {
  for (const line of [
    'RUN --mount=type=$T,target=/c a',
    'RUN --mount=type=cache,\\"id=x\\",target=/c a',
    'ONBUILD RUN --mount=type=cache,id=x,target=/c a',
    'ONBUILD RUN --mo\\unt=type=cache,id=x,target=/c a',
    'RUN echo a\\\\\nRUN --mount=type=cache,id=x,target=/c a',
    'RUN --mount=type=ssh a',
  ]) {
    assert.match(refusal(lines(line)), /^ORK_DOCKERFILE_REFUSED/, line);
  }
});

test('secrets are listed with their lines, and an unset required one is rejected with the command to set it', () => {
  const { secrets } = read(lines('RUN --mount=type=secret,id=A,required=true a', 'RUN --mount=type=secret,id=C b'));
  assert.deepEqual(secrets, [
    { name: 'A', line: 2, required: true },
    { name: 'C', line: 3, required: false },
  ]);
  const refused = refusal(lines('RUN a', 'RUN --mount=type=secret,id=C,required=true b'));
  assert.match(refused, /^ORK_BUILD_SECRET: Line 3 .* C, .*orkestr env set --build C=-/);
});

test('for a secret with a name that variables cannot have, the message says what to write instead', () => {
  for (const [name, allowed] of [
    ['npm-token', 'npm_token'],
    ['github.token', 'github_token'],
    ['2fa', '_2fa'],
  ] as const) {
    const refused = refusal(lines(`RUN --mount=type=secret,id=${name},required=true a`));
    assert.match(refused, new RegExp(`write id=${allowed},target=/run/secrets/${name} .* --build ${allowed}=-`));
  }
});

test('messages of the engine are shown with the words of the source', () => {
  const source = 'RUN --mount=type=cache,target=/c --mount=type=secret,id=A make';
  const { text, shown } = read(lines(source));
  const built = text.split('\n')[1] ?? '';
  assert.notEqual(built, source);
  assert.equal(shown(`[2/2] ${built}`), `[2/2] ${source}`);
});

test('a generated Dockerfile gives the secrets to the commands that see the files, and does not show them', () => {
  const source = [
    'FROM a AS build',
    'RUN setup',
    'COPY package.json ./',
    'RUN --mount=type=cache,target=/c npm ci',
    'FROM a',
    'COPY --from=build /app /app',
    'RUN last',
  ].join('\n');
  const { text, shown, secrets } = read(source, { origin: 'generated' });
  const built = text.split('\n');
  assert.equal(built[1], 'RUN setup');
  assert.equal(
    built[3],
    'RUN --mount=type=secret,required=true,id=env-A,target=/run/secrets/A --mount=type=secret,required=true,id=env-B,target=/run/secrets/B --mount=type=cache,target=/c,id=env-/c export A="$(cat /run/secrets/A)" B="$(cat /run/secrets/B)" && npm ci',
  );
  assert.equal(built[6], 'RUN last');
  assert.equal(shown(built[3] ?? ''), 'RUN --mount=type=cache,target=/c npm ci');
  assert.deepEqual(
    secrets.map(({ name }) => name),
    ['A', 'B'],
  );
  assert.equal(read(source, { origin: 'generated', secrets: [] }).text.includes('secret'), false);
});
