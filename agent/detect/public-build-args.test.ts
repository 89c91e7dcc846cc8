/** Which variables an app's build gets. BuildKit rebuilds when one changes: ARGs are part of its cache key. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { EnvVars } from '../../protocol/ids.ts';
import type { BuildPlan } from '../../protocol/steps.ts';
import { describePlan } from './describe.ts';
import { RepositoryFolder } from './test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const plan = (manifest: object, variables: EnvVars, files: Record<string, string> = {}): Promise<BuildPlan> =>
  repository.plan({ 'package.json': JSON.stringify(manifest), 'package-lock.json': '{}', ...files }, { variables });
const vite = { devDependencies: { vite: '8' } };

test('each framework gets exactly the variables that it makes public', async () => {
  const all = Object.fromEntries(
    ['VITE', 'NEXT_PUBLIC', 'NUXT_PUBLIC', 'PUBLIC', 'REACT_APP', 'GATSBY', 'VUE_APP', 'NG_APP', 'X'].map((prefix) => [
      `${prefix}_A`,
      prefix,
    ]),
  );
  const frameworks: Record<string, readonly string[]> = {
    vite: ['VITE_A'],
    next: ['NEXT_PUBLIC_A'],
    nuxt: ['NUXT_PUBLIC_A', 'VITE_A'],
    astro: ['PUBLIC_A'],
    'react-scripts': ['REACT_APP_A'],
    gatsby: ['GATSBY_A'],
    '@vue/cli-service': ['VUE_APP_A'],
    '@angular/core': ['NG_APP_A'],
    '@11ty/eleventy': [],
  };
  for (const [name, names] of Object.entries(frameworks)) {
    const { buildArgs = {} } = await plan({ dependencies: { [name]: '1' } }, { ...all, DATABASE_URL: 'x' });
    assert.deepEqual(Object.keys(buildArgs), names, name);
  }
});

test('public variables are build args after the install, in the build stage only', async () => {
  const { dockerfile } = await plan(vite, { VITE_B: '2', VITE_A: '1 "a"\n$b' });
  assert.match(dockerfile.text, /npm ci\nCOPY \. \.\nARG VITE_A\nARG VITE_B\nRUN vite build\n\nFROM nginx/);
  assert.doesNotMatch(dockerfile.text, /1 "a"/, 'a value is never part of the text');
});

test('a server whose pages another framework builds gets the public variables of both', async () => {
  const manifest = { scripts: { build: 'vite build', start: 'node a.js' }, dependencies: { express: '5' }, ...vite };
  const made = await plan(manifest, { VITE_A: '1' });
  assert.deepEqual([made.framework, made.buildArgs], ['Express', { VITE_A: '1' }]);
});

test('neither an app without a build nor a Dockerfile of the repository gets public variables', async () => {
  const plain = await plan({ scripts: { start: 'node a.js' }, dependencies: { hono: '4' }, ...vite }, { VITE_A: '1' });
  assert.equal(plain.buildArgs, undefined);
  const own = await plan(vite, { VITE_A: '1' }, { Dockerfile: 'FROM a:1\n' });
  assert.equal(own.buildArgs, undefined);
});

test('the plan shows names only, and a value too long for a build arg is left out with a warning', async () => {
  const made = await plan(vite, { VITE_A: 'first', VITE_B: 'second', VITE_BLOB: 'x'.repeat(9000) });
  const lines = describePlan(made);
  assert.ok(lines.includes('2 public variables go into the build: VITE_A, VITE_B'), lines.join('\n'));
  assert.doesNotMatch(lines.join('\n'), /first|second/);
  assert.match(made.warnings.join('\n'), /build does not get the public variables VITE_BLOB:/);
});
