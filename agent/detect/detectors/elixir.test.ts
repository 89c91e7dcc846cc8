import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);

test('npm packages that Phoenix bundles are installed after its own dependencies, with Node.js', async () => {
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

describe('detector elixir', () => {
  const mix = (project: string): string =>
    `defmodule Shop.MixProject do\n  def project, do: [app: :shop, ${project}]\nend\n`;

  test('without dependencies the tools that fetch them are not installed', async () => {
    const made = await plan({ 'mix.exs': mix('version: "1.0.0"') });
    assert.doesNotMatch(made.dockerfile.text, /local\.hex/);
    const fetching = await plan({ 'mix.exs': mix('deps: [{:plug_cowboy, "~> 2.7"}]') });
    assert.match(fetching.dockerfile.text, /^RUN mix local\.hex --force && mix local\.rebar --force$/m);
  });

  test('a release in mix.exs is built and started by its name, otherwise by the name of the app', async () => {
    const own = await plan({ 'mix.exs': mix('releases: [web: [include_executables_for: [:unix]]]') });
    assert.match(own.buildCommand ?? '', /mix release web --overwrite$/);
    assert.equal(own.startCommand, 'bin/web start');
    assert.match(own.dockerfile.text, /\/rel\/web \/app$/m);
    const standard = await plan({ 'mix.exs': mix('version: "1.0.0"') });
    assert.match(standard.buildCommand ?? '', /mix release --overwrite$/);
    assert.equal(standard.startCommand, 'bin/shop start');
  });

  test('Phoenix with a database needs the database address, too, and the plan says so', async () => {
    const needs = async (deps: string, variables = {}): Promise<string[]> => {
      const { warnings } = await plan({ 'mix.exs': mix(`deps: [{:phoenix, "~> 1.8"}${deps}]`) }, { variables });
      return warnings.flatMap((warning) => /^Phoenix needs ([A-Z_]+): /.exec(warning)?.[1] ?? []);
    };
    assert.deepEqual(await needs(', {:ecto_sql, "~> 3.10"}'), ['DATABASE_URL', 'SECRET_KEY_BASE', 'PHX_HOST']);
    assert.deepEqual(await needs(', {:ecto_sqlite3, ">= 0.0.0"}'), ['DATABASE_PATH', 'SECRET_KEY_BASE', 'PHX_HOST']);
    assert.deepEqual(await needs('', { SECRET_KEY_BASE: 'x' }), ['PHX_HOST']);
  });

  test('dependencies are compiled with the production configuration', async () => {
    const files = { 'mix.exs': mix('deps: [{:plug, "~> 1.16"}]'), 'config/config.exs': '', 'config/prod.exs': '' };
    const made = await plan(files);
    assert.match(made.dockerfile.text, /^COPY config\/config\.exs config\/prod\.exs config\/\nRUN .* mix deps\.get/m);
  });
});
