/** Detector: Elixir, by mix.exs. */
import type { Detector, Facts, DetectedApp, Miss } from '../detector.ts';
import { evidenceFor, versionFact } from '../evidence.ts';
import { ASSETS, writeElixir } from '../dockerfiles/elixir.ts';
import type { ElixirRecipe } from '../dockerfiles/elixir.ts';
import type { Need } from '../needs.ts';
import { frontEndOf } from '../front-end.ts';
import type { FrontEnd } from '../front-end.ts';
import { readPackageJson } from '../node/package-json.ts';
import { present, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { chooseRuntime, toolVersions } from '../runtime.ts';
import type { Runtime } from '../runtime.ts';

const RUNTIME: Runtime = {
  name: 'Elixir',
  kind: 'elixir',
  digits: 2,
  lines: ['1.19', '1.20', '1.17', '1.16', '1.15', '1.14'],
  supported: ['1.20', '1.19', '1.18', '1.17', '1.16'],
  standing: 'a version with security fixes',
  files: [...toolVersions('elixir'), { path: '.elixir-version', read: (text) => /\d[\d.]*/.exec(text)?.[0] }],
};

const PORT = 4000;

export const elixir: Detector = {
  name: 'elixir',
  frameworks: ['Elixir', 'Phoenix'],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const { repository } = request;
    const text = await repository.text('mix.exs');
    if (text === null) return { missed: 'no mix.exs' };
    const app = /\bapp:\s*:([a-z][a-z0-9_]{0,60})\b/.exec(text)?.[1];
    if (app === undefined) return { missed: 'mix.exs, but no app in it' };
    const { release, build } = releaseOf(text, app);
    const phoenix = /\{\s*:phoenix\s*,/.test(text);
    const wanted = /\belixir:\s*"([^"\n]{1,40})"/.exec(text)?.[1]?.replace('~>', '~=');
    const said = wanted === undefined ? null : { value: wanted, from: 'mix.exs' };
    const runtime = await chooseRuntime(request, [repository], RUNTIME, said);
    const assets = /"assets\.deploy"/.test(text);
    const framework = phoenix ? 'Phoenix' : 'Elixir';
    const facts: Facts = {
      framework,
      runtime: 'elixir',
      ...versionFact(runtime),
      ...(phoenix && { port: PORT }),
      installCommand: 'mix deps.get --only prod && mix deps.compile',
      buildCommand: `mix compile && ${assets ? 'mix assets.deploy && ' : ''}${build}`,
      startCommand: `bin/${release} start`,
    };
    const frontEnd = assets ? await assetsOf(within(repository, ASSETS)) : null;
    const recipe = { image: runtime.image, release, phoenix, frontEnd, ...(await sourcesOf(repository, text)) };
    return {
      confidence: phoenix ? 'certain' : 'likely',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: 'mix.exs',
          runtime: 'mix.exs',
          install: recipe.manifests.at(-1) ?? 'mix.exs',
          start: 'mix release',
        },
        { runtime: 'Elixir', version: runtime.evidence },
      ),
      warnings: runtime.warnings,
      needs: phoenix ? needsOf(text) : [],
      ...(frontEnd && { includes: ['node'] }),
      dockerfile: { origin: 'generated', write: (final) => writeElixir(recipe, final) },
    };
  },
};

/** Variables that a new Phoenix app's config/runtime.exs requires, or uses for its links and sockets. */
function needsOf(mix: string): Need[] {
  const database = /\{\s*:(?:ecto_sql|phoenix_ecto|postgrex|myxql|ecto_sqlite3)\s*,/.test(mix);
  const file = /\{\s*:ecto_sqlite3\s*,/.test(mix);
  return [
    ...(database ? [file ? DATABASE_PATH : DATABASE_URL] : []),
    { anyOf: ['SECRET_KEY_BASE'], hint: '`mix phx.gen.secret` makes one.' },
    { anyOf: ['PHX_HOST'], hint: 'It is the domain of the app.' },
  ];
}
const DATABASE_URL = { anyOf: ['DATABASE_URL'], hint: 'It has the form ecto://USER:PASSWORD@HOST/DATABASE.' };
const DATABASE_PATH = { anyOf: ['DATABASE_PATH'], hint: 'It is the path of the database file.' };

/** Node.js packages that bundle the assets, or null. */
async function assetsOf(assets: RepositoryView): Promise<FrontEnd | null> {
  const manifest = await readPackageJson(assets, `${ASSETS}/package.json`);
  return manifest === null ? null : frontEndOf(assets, manifest);
}

/** The files that the dependency layer is built from. */
async function sourcesOf(
  repository: RepositoryView,
  mix: string,
): Promise<Pick<ElixirRecipe, 'manifests' | 'configuration' | 'downloads'>> {
  return {
    manifests: await present(repository, ['mix.exs', 'mix.lock']),
    configuration: await present(repository, ['config/config.exs', 'config/prod.exs']),
    // `{:plug, "~> 1.16"}`, `{:plug, github: …}`
    downloads: /\{\s*:[a-z][a-z0-9_]*\s*,\s*(?:"|[a-z]+:)/.test(mix),
  };
}

/** Without `releases` in mix.exs there is an implicit one named after the app, which must not be passed by name. */
function releaseOf(mix: string, app: string): { readonly release: string; readonly build: string } {
  const named = /\breleases:\s*\[\s*([a-z][a-z0-9_]{0,60}):/.exec(mix)?.[1];
  return named === undefined
    ? { release: app, build: 'mix release --overwrite' }
    : { release: named, build: `mix release ${named} --overwrite` };
}
