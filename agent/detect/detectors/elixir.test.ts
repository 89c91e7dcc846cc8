import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

test('packages of npm that Phoenix bundles are installed behind its own, with Node.js', async () => {
  const mix = 'app: :shop\n{:phoenix, "~> 1.8"}\n"assets.deploy": ["esbuild shop --minify"]\n';
  const files = { 'mix.exs': mix, 'mix.lock': '', 'assets/package.json': '{}', 'assets/package-lock.json': '{}' };
  const { dockerfile } = await repository.plan(files);
  assert.match(dockerfile.text, /^FROM node:\S+ AS node$/m);
  assert.match(
    dockerfile.text,
    /mix deps\.get [^]*COPY --from=node [^]*\nWORKDIR \/src\/assets\nCOPY assets\/package\.json assets\/package-lock\.json \.\/\nRUN .*npm ci\nWORKDIR \/src\nCOPY \. \.\nRUN .*assets\.deploy/,
  );
  const { 'assets/package.json': _none, ...without } = files;
  assert.doesNotMatch((await repository.plan(without)).dockerfile.text, /node/);
});
