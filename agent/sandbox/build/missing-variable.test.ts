import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildVariables, missingVariable } from './missing-variable.ts';
import type { BuildVariables } from './missing-variable.ts';

const said = (
  lines: readonly string[],
  variables: Partial<BuildVariables> = {},
  command = 'RUN npm run build',
): string =>
  missingVariable(
    { command, error: '', lastLines: lines },
    { app: ['DATABASE_URL', 'PORT', 'DB'], unmounted: [], mounts: false, ...variables },
  );

test('a variable of the app that the output misses is named with the command that gives it to the build', () => {
  const expected =
    ' DATABASE_URL is set for the app, and a build does not get it. If the build needs it, set it for the build too: `orkestr env set --build DATABASE_URL=-`.';
  const outputs = {
    Prisma: ['error: Environment variable not found: DATABASE_URL.', '  -->  schema.prisma:10'],
    't3-env': ['❌ Invalid environment variables: [', "  path: [ 'DATABASE_URL' ],", "  message: 'Required'", ']'],
    't3-env of before': ["❌ Invalid environment variables: { DATABASE_URL: [ 'Required' ] }"],
    zod: ['✖ Invalid input: expected string, received undefined', '  → at DATABASE_URL'],
    Django: ['django.core.exceptions.ImproperlyConfigured: Set the DATABASE_URL environment variable'],
    Python: ["KeyError: 'DATABASE_URL'"],
    Ruby: ['KeyError: key not found: "DATABASE_URL" (KeyError)'],
    pydantic: ['DATABASE_URL', '  Field required [type=missing, input_value={}, input_type=dict]'],
    Next: ['Error: DATABASE_URL is not set', 'Failed to collect page data for /api'],
  };
  for (const [program, lines] of Object.entries(outputs)) assert.equal(said(lines), expected, program);
});

test('a name that is only part of a word, far from any absence, or very short counts for nothing', () => {
  for (const line of [
    'MY_DATABASE_URL is missing',
    'DATABASE_URL_2 is missing',
    'DB is missing',
    'reading DATABASE_URL',
  ])
    assert.equal(said([line]), '', line);
  assert.equal(said(['DATABASE_URL', '', '', '', 'src/a.ts: cannot find name x, which is required']), '');
  assert.equal(said(['SECRET_KEY is missing']), '');
});

test('with a Dockerfile of the repository, the message says that the line must mount the secret', () => {
  const lines = ['DATABASE_URL is required'];
  assert.match(
    said(lines, { mounts: true }),
    /`orkestr env set --build DATABASE_URL=-`, and mount it in this line: see "Build secrets" in docs\/build-inputs\.md\.$/,
  );
  const secret = { app: [], unmounted: ['DATABASE_URL'], mounts: true };
  assert.match(said(lines, secret), /^ The build secret DATABASE_URL is set, but this line does not mount it: see/);
  for (const mount of ['id=DATABASE_URL', 'src=DATABASE_URL,env=DB', 'target=/run/secrets/DATABASE_URL']) {
    assert.equal(said(lines, secret, `RUN --mount=type=secret,${mount} npm run build`), '', mount);
  }
});

test('several variables get one sentence, and no more than three are named', () => {
  const app = ['A_KEY', 'B_KEY', 'C_KEY', 'D_KEY'];
  const sentence = said(['missing: A_KEY, B_KEY, C_KEY, D_KEY'], { app });
  assert.match(sentence, /^ A_KEY, B_KEY, C_KEY are set for the app, and a build does not get them\./);
  assert.match(sentence, /build too: `orkestr env set --build A_KEY=-`, `.*B_KEY=-`, `.*C_KEY=-`\.$/);
});

test('a variable that nobody set is named as the build secret to set', () => {
  const sentence = said(['error: Environment variable not found: TOKEN.'], { app: [] });
  assert.equal(sentence, ' The build has no TOKEN. Set it with `orkestr env set --build TOKEN=-`.');
});

test('a build lacks the variables of the app that are neither build secrets nor build args', () => {
  const plan = (origin: 'generated' | 'repository') => ({
    buildArgs: { VITE_A: '1' },
    dockerfile: { origin, path: 'Dockerfile', text: '' },
  });
  const request = { appVariables: ['VITE_A', 'BOTH', 'URL'], secrets: { BOTH: 'value' } };
  assert.deepEqual(buildVariables({ ...request, plan: plan('generated') }), {
    app: ['URL'],
    unmounted: [],
    mounts: false,
  });
  const own = buildVariables({ ...request, plan: plan('repository') });
  assert.deepEqual(own, { app: ['URL'], unmounted: ['BOTH'], mounts: true });
});
