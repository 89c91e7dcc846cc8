import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const rails = (gems: readonly string[], files: Record<string, string> = {}): Promise<BuildPlan> =>
  repository.plan({
    Gemfile: ['rails', ...gems].map((gem) => `gem "${gem}"\n`).join(''),
    'config/application.rb': '',
    ...files,
  });
const packageJson = {
  'package.json': '{ "scripts": { "build": "esbuild app.js", "start": "node x" } }',
  'yarn.lock': '',
};

test('gems that call Node.js for the assets get it in the build stage, with its packages', async () => {
  const made = await rails(['propshaft', 'jsbundling-rails'], packageJson);
  const [node = '', build = '', run = ''] = made.dockerfile.text.split(/^FROM /m).slice(1);
  assert.equal(node, 'node:26-trixie-slim AS node\n\n');
  assert.match(
    build,
    /^COPY --from=node \/usr\/local \/usr\/local\n.*yarn@1\nCOPY package\.json yarn\.lock \.\/\nRUN .* yarn install --frozen-lockfile\nCOPY \. \.\n.*assets:precompile/m,
  );
  assert.doesNotMatch(run, /node/);
  assert.doesNotMatch(made.warnings.join(), /node fits too/);
});

test('an app whose gems do not use Node.js does not get it, even with a package.json', async () => {
  const made = await rails(['propshaft', 'importmap-rails'], packageJson);
  assert.doesNotMatch(made.dockerfile.text, /FROM node/);
  assert.match(made.dockerfile.text, /assets:precompile/);
});

test('the assets of vite_rails, shakapacker and tailwindcss-rails are precompiled, too', async () => {
  for (const gem of ['vite_rails', 'shakapacker', 'tailwindcss-rails']) {
    assert.match((await rails([gem])).buildCommand ?? '', /assets:precompile$/, gem);
  }
});

test('Rails needs a key to sign cookies, unless the repository or the environment has it', async () => {
  const files = { Gemfile: 'gem "rails"', 'Gemfile.lock': '', 'config/application.rb': '' };
  const credentials = { ...files, 'config/credentials.yml.enc': '' };
  assert.match((await repository.plan(files)).warnings.join(), /^Rails needs SECRET_KEY_BASE: /);
  assert.match(
    (await repository.plan(credentials)).warnings.join(),
    /^Rails needs RAILS_MASTER_KEY or SECRET_KEY_BASE: /,
  );
  const variables = { RAILS_MASTER_KEY: 'x' };
  assert.deepEqual((await repository.plan(credentials, { variables })).warnings, []);
  assert.deepEqual((await repository.plan({ ...credentials, 'config/master.key': '' })).warnings, []);
});

test('a Jekyll site is built with its gems and served as files', async () => {
  const gemfile = 'gem "jekyll", "~> 4.4"\ngroup :jekyll_plugins do\n  gem "jekyll-feed"\nend\n';
  const made = await repository.plan({
    Gemfile: gemfile,
    'Gemfile.lock': '',
    '_config.yml': '',
    'index.html': '---\n---\n',
  });
  assert.deepEqual(
    [made.framework, made.runtime, made.startCommand, made.portGuessed],
    ['Jekyll', 'static', undefined, false],
  );
  assert.match(
    made.dockerfile.text,
    /RUN \S+ bundle install\nCOPY \. \.\nRUN JEKYLL_ENV=production bundle exec jekyll build /,
  );
  assert.match(made.dockerfile.text, /^COPY --from=build .* \/app\/_site\/ /m);
  const rack = await repository.plan({ Gemfile: gemfile, '_config.yml': '', 'config.ru': '' });
  assert.equal(rack.framework, 'Rack');
});

test('a Gemfile can limit the Ruby version from both sides', async () => {
  for (const [said, version] of [
    ['ruby ">= 3.1", "< 3.3"', '3.2'],
    ["ruby('~> 3.4.0')", '3.4'],
    ['ruby "~> 3.4", engine: "ruby"', '3.4'],
  ] as const) {
    const made = await repository.plan({ Gemfile: `${said}\ngem "sinatra"\n`, 'app.rb': '' });
    assert.equal(made.version, version, said);
  }
});

test('assets of Sprockets are precompiled even if only another gem brings it', async () => {
  const made = await rails(['sassc-rails'], { 'app/assets/config/manifest.js': '' });
  assert.match(made.buildCommand ?? '', /assets:precompile$/);
  assert.equal((await rails(['pg'])).buildCommand, undefined);
});
