import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

test('a program that exports its handler is served, and one that serves by itself is run', async () => {
  const start = async (main: string): Promise<string | undefined> =>
    (await repository.plan({ 'deno.json': '{}', 'main.ts': main })).startCommand;
  const serve = 'deno serve --host 0.0.0.0 --port $PORT --allow-net --allow-env --allow-read main.ts';
  assert.equal(await start('export default {\n  fetch(req) {},\n} satisfies Deno.ServeDefaultExport;\n'), serve);
  const run = 'deno run --allow-net --allow-env --allow-read main.ts';
  assert.equal(await start('Deno.serve(() => new Response());\n'), run);
  assert.equal(await start('const app = {};\nexport default app;\nDeno.serve(app.fetch);\n'), run);
});

test('the packages of the manifest are installed before the build, which looks in node_modules', async () => {
  const manifest = {
    nodeModulesDir: 'manual',
    tasks: { build: 'vite build', start: 'deno serve -A _fresh/server.js' },
  };
  const files = { 'deno.json': JSON.stringify(manifest), 'main.ts': '' };
  const made = await repository.plan(files);
  assert.match(
    made.dockerfile.text,
    /\nCOPY deno\.json \.\/\nRUN deno install\nCOPY \. \.\nRUN deno cache main\.ts\nRUN deno task build\n/,
  );
  const older = await repository.plan(files, { runtimeVersion: '1.46' });
  assert.match(older.dockerfile.text, /\nCOPY \. \.\nRUN deno cache main\.ts\nRUN deno task build\n/);
});

test('an install that reads more than the manifests, or that the user stated, comes after all files', async () => {
  const files = { 'deno.json': '{}', 'deno.lock': '{}', 'main.ts': '' };
  const text = async (more: Record<string, string>, installCommand?: string): Promise<string> =>
    (await repository.plan({ ...files, ...more }, installCommand === undefined ? {} : { installCommand })).dockerfile
      .text;
  const early = /\nCOPY deno\.json deno\.lock (?:package\.json )?\.\/\nRUN deno install\n/;
  assert.match(await text({}), early);
  assert.match(await text({ 'package.json': '{ "dependencies": { "ms": "2" } }' }), early);
  assert.doesNotMatch(await text({ 'package.json': '{ "dependencies": { "x": "file:./x" } }' }), early);
  assert.doesNotMatch(await text({ 'deno.json': '{ "importMap": "./imports.json" }' }), early);
  assert.match(await text({}, 'make deps'), /\nCOPY \. \.\nRUN make deps\nRUN mkdir/);
});

test('a task that watches files is replaced by preview, or loses its watcher', async () => {
  const planned = async (tasks: Record<string, string>): Promise<[string | undefined, string]> => {
    const made = await repository.plan({ 'deno.json': JSON.stringify({ tasks }), 'main.ts': '', 'dev.ts': '' });
    return [made.startCommand, made.warnings.join()];
  };
  const start = 'deno run -A --watch=static/,routes/ dev.ts';
  assert.deepEqual(await planned({ start, preview: 'deno run -A main.ts' }), ['deno task preview', '']);
  const [command, warnings] = await planned({ start });
  assert.equal(command, 'deno run -A dev.ts');
  assert.match(warnings, /^deno\.json tasks\.start watches files .* orkestr runs `deno run -A dev\.ts` instead/);
  const [kept, why] = await planned({ start: 'tool | deno run --watch main.ts' });
  assert.equal(kept, 'deno task start');
  assert.match(why, /after a crash/);
  assert.deepEqual(await planned({ start: 'deno run main.ts', preview: 'x' }), ['deno task start', '']);
});

describe('a workspace', () => {
  const WORKSPACE = {
    'deno.json': JSON.stringify({ workspace: ['./packages/*', './apps/web'], imports: { fresh: 'jsr:@fresh/core@2' } }),
    'packages/words/deno.json': '{ "name": "@x/words", "exports": "./words.ts" }',
    'packages/words/words.ts': '',
    'apps/web/deno.json': '{}',
    'apps/web/main.ts': 'Deno.serve(() => new Response());\n',
  };

  test('with one app is built with all members, and the app runs in its folder with the imports of all', async () => {
    for (const asked of [{}, { rootDirectory: 'apps/web' }]) {
      const plan = await repository.plan(WORKSPACE, asked);
      assert.equal(plan.rootDirectory, '.');
      assert.equal(plan.framework, 'Fresh');
      const { text } = plan.dockerfile;
      assert.match(
        text,
        /\nCOPY packages\/words\/deno\.json packages\/words\/\nCOPY apps\/web\/deno\.json apps\/web\/\n/,
      );
      assert.match(text, /\nRUN deno install\nCOPY \. \.\nWORKDIR \/app\/apps\/web\nRUN deno cache main\.ts\n/);
      assert.match(plan.dockerfile.text, /\nWORKDIR \/app\/apps\/web\nUSER/);
    }
  });

  test('leaves a folder that is not a member on its own', async () => {
    const files = { ...WORKSPACE, 'other/deno.json': '{}', 'other/main.ts': 'Deno.serve(() => new Response());\n' };
    const plan = await repository.plan(files, { rootDirectory: 'other' });
    assert.equal(plan.rootDirectory, 'other');
    assert.equal(plan.framework, 'Deno');
  });

  test('can list its members under a key, too', async () => {
    const root = JSON.stringify({ workspace: { members: ['apps/web'] } });
    const plan = await repository.plan({ ...WORKSPACE, 'deno.json': root }, { rootDirectory: 'apps/web' });
    assert.match(plan.dockerfile.text, /WORKDIR \/app\/apps\/web/);
  });
});
