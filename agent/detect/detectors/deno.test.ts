import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

test('a program that exports its handler is served, and one that serves itself is run', async () => {
  const start = async (main: string): Promise<string | undefined> =>
    (await repository.plan({ 'deno.json': '{}', 'main.ts': main })).startCommand;
  const serve = 'deno serve --host 0.0.0.0 --port $PORT --allow-net --allow-env --allow-read main.ts';
  assert.equal(await start('export default {\n  fetch(req) {},\n} satisfies Deno.ServeDefaultExport;\n'), serve);
  const run = 'deno run --allow-net --allow-env --allow-read main.ts';
  assert.equal(await start('Deno.serve(() => new Response());\n'), run);
  assert.equal(await start('const app = {};\nexport default app;\nDeno.serve(app.fetch);\n'), run);
});

test('what the manifest lists is installed before the build, which looks for it in node_modules', async () => {
  const manifest = {
    nodeModulesDir: 'manual',
    tasks: { build: 'vite build', start: 'deno serve -A _fresh/server.js' },
  };
  const files = { 'deno.json': JSON.stringify(manifest), 'main.ts': '' };
  const made = await repository.plan(files);
  assert.match(made.dockerfile.text, /\nRUN deno install && deno cache main\.ts\nRUN deno task build\n/);
  assert.equal((await repository.plan(files, { runtimeVersion: '1.46' })).installCommand, 'deno cache main.ts');
});
