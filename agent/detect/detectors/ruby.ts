/** Detector: Ruby, by its Gemfile. */
import type { Detector, DetectRequest, Facts, DetectedApp, Miss, Stated } from '../detector.ts';
import { evidenceFor, lockWarning, versionFact } from '../evidence.ts';
import { writeRuby, writeRubySite } from '../dockerfiles/ruby.ts';
import { STATIC_PORT } from '../dockerfiles/static.ts';
import { frontEndOf } from '../front-end.ts';
import type { FrontEnd } from '../front-end.ts';
import type { Need } from '../needs.ts';
import { readPackageJson } from '../node/package-json.ts';
import { procfileWeb } from '../procfile.ts';
import { present } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { chooseRuntime, toolVersions, versionFile } from '../runtime.ts';
import type { Runtime } from '../runtime.ts';

const RUNTIME: Runtime = {
  name: 'Ruby',
  kind: 'ruby',
  digits: 2,
  lines: ['3.4', '4.0', '3.2'],
  trixieSince: '3.2',
  exactFor: 'bundler',
  supported: ['4.0', '3.4', '3.3'],
  standing: 'a version with security fixes until March 2027',
  files: [versionFile('.ruby-version'), ...toolVersions('ruby')],
};

/** Gems that wrap a library, and its Debian packages: to build, and to run. */
const LIBRARIES: Readonly<Record<string, readonly [build: string, run: string]>> = {
  pg: ['libpq-dev', 'libpq5'],
  mysql2: ['default-libmysqlclient-dev', 'libmariadb3'],
  sqlite3: ['libsqlite3-dev', 'libsqlite3-0'],
  'ruby-vips': ['libvips-dev', 'libvips42'],
  image_processing: ['libvips-dev', 'libvips42'],
};

/** Gems that precompile assets, and those of them that use Node.js for it. */
const ASSETS =
  /^(?:sprockets|propshaft|importmap-rails|tailwindcss-rails|shakapacker|webpacker|vite_(?:rails|ruby)|.*bundling-rails)/;
/** Sprockets' manifest. Up to Rails 6, Sprockets comes with Rails itself, and with `sassc-rails`. */
const SPROCKETS = 'app/assets/config/manifest.js';
const BUNDLERS = /^(?:jsbundling-rails|cssbundling-rails|shakapacker|webpacker|vite_rails|vite_ruby)$/;

interface Start {
  readonly framework: string;
  readonly port: number;
  /** Start command; null for a site, which is served as files. */
  readonly command: string | null;
  readonly from: string;
}

/** Output folder of Jekyll, whatever its configuration says. */
const SITE = '_site';
const JEKYLL_BUILD = `JEKYLL_ENV=production bundle exec jekyll build --destination ${SITE}`;
const RAILS_BUILD = 'SECRET_KEY_BASE=only-for-this-build bundle exec rails assets:precompile';

export const ruby: Detector = {
  name: 'ruby',
  frameworks: ['Ruby', 'Rails', 'Sinatra', 'Rack', 'Jekyll'],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const { repository } = request;
    const gemfile = await repository.text('Gemfile');
    if (gemfile === null) return { missed: 'no Gemfile' };
    const gems = new Set(
      [...gemfile.matchAll(/^[ \t]*gem[ \t(]*["']([A-Za-z0-9_.-]+)["']/gm)].map(([, gem = '']) => gem),
    );
    const found = await startOf(repository, gems);
    const start = found ?? statedStart(request);
    if (start === null)
      return {
        missed:
          'Gemfile, but no startCommand, no Procfile with a web line, no config.ru, _config.yml, app.rb or main.rb',
      };
    const runtime = await chooseRuntime(request, [repository], RUNTIME, saidBy(gemfile));
    const rails = start.framework === 'Rails';
    const hasLock = await repository.has('Gemfile.lock');
    const assets = rails && ([...gems].some((gem) => ASSETS.test(gem)) || (await repository.has(SPROCKETS)));
    const frontEnd = assets ? await bundled(repository, gems) : null;
    const facts: Facts = {
      ...factsOf(start),
      ...versionFact(runtime),
      ...(assets && { buildCommand: RAILS_BUILD }),
    };
    const libraries = [
      ...new Map(
        Object.entries(LIBRARIES)
          .filter(([gem]) => gems.has(gem))
          .map(([, pair]) => [pair[0], pair]),
      ),
    ];
    const recipe = {
      image: runtime.image,
      manifests: await present(repository, ['Gemfile', 'Gemfile.lock', '.ruby-version', '.tool-versions']),
      hasLock,
      rails,
      frontEnd,
      buildPackages: libraries.map(([, [build]]) => build),
      runPackages: libraries.map(([, [, run]]) => run),
    };
    return {
      confidence: found === null ? 'guess' : 'certain',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: start.framework === 'Ruby' ? 'Gemfile' : `Gemfile and ${start.from}`,
          runtime: 'Gemfile',
          install: hasLock ? 'Gemfile.lock' : 'Gemfile',
          start: start.from,
          ...(start.command === null && { port: 'generated nginx configuration' }),
        },
        { runtime: 'Ruby', version: runtime.evidence },
      ),
      warnings: [...runtime.warnings, ...lockWarning('Gemfile.lock', hasLock)],
      needs: rails ? await needsOf(repository) : [],
      ...(frontEnd && { includes: ['node'] }),
      dockerfile: {
        origin: 'generated',
        write: (final) => (final.facts.runtime === 'static' ? writeRubySite(recipe, final) : writeRuby(recipe, final)),
      },
    };
  },
};

/** `ruby "~> 3.3.0"`, `ruby ">= 3.1", "< 3.4"`; null if there is none. */
function saidBy(gemfile: string): Stated<string> | null {
  const list = /^[ \t]*ruby[ \t(]+((?:["'][^"'\n]{1,40}["'](?:[ \t]*,[ \t]*)?){1,4})/m.exec(gemfile)?.[1] ?? '';
  const ranges = [...list.matchAll(/["']([^"']+)["']/g)].map(([, range = '']) => range.replace('~>', '~='));
  return ranges.length === 0 ? null : { value: ranges.join(', '), from: 'Gemfile' };
}

function factsOf({ framework, port, command }: Start): Facts {
  const common = { framework, port, installCommand: 'bundle install' };
  return command === null
    ? { ...common, runtime: 'static', buildCommand: JEKYLL_BUILD, outputDirectory: SITE }
    : { ...common, runtime: 'ruby', startCommand: command };
}

/** The key by which Rails signs cookies in production. */
async function needsOf(repository: RepositoryView): Promise<Need[]> {
  if (await repository.has('config/master.key')) return [];
  const encrypted = await repository.has('config/credentials.yml.enc');
  return encrypted
    ? [
        {
          anyOf: ['RAILS_MASTER_KEY', 'SECRET_KEY_BASE'],
          hint: 'RAILS_MASTER_KEY is the content of config/master.key.',
        },
      ]
    : [{ anyOf: ['SECRET_KEY_BASE'], hint: '`bin/rails secret` makes one.' }];
}

/** Node.js packages for the gems that use them. */
async function bundled(repository: RepositoryView, gems: ReadonlySet<string>): Promise<FrontEnd | null> {
  const manifest = await readPackageJson(repository);
  if (manifest === null || ![...gems].some((gem) => BUNDLERS.test(gem))) return null;
  return frontEndOf(repository, manifest);
}

/** A Procfile decides; else the gem determines the framework, and existing files its start command. */
async function startOf(repository: RepositoryView, gems: ReadonlySet<string>): Promise<Start | null> {
  const known = (await frameworkOf(repository, gems)) ?? (await siteOf(repository, gems));
  const web = await procfileWeb(repository);
  if (web === null) return known;
  return { ...(known ?? { framework: 'Ruby', port: 9292 }), command: web, from: 'Procfile' };
}

/** A worker has none of the files of a web app: with a Gemfile, a stated command suffices. */
const statedStart = ({ stated: { startCommand }, isLastTry }: DetectRequest): Start | null =>
  startCommand === undefined || isLastTry !== true
    ? null
    : { framework: 'Ruby', port: 9292, command: startCommand.value, from: startCommand.from };

async function siteOf(repository: RepositoryView, gems: ReadonlySet<string>): Promise<Start | null> {
  const jekyll = gems.has('jekyll') || gems.has('github-pages');
  if (!jekyll || !(await repository.has('_config.yml'))) return null;
  return { framework: 'Jekyll', port: STATIC_PORT, command: null, from: '_config.yml' };
}

async function frameworkOf(repository: RepositoryView, gems: ReadonlySet<string>): Promise<Start | null> {
  const rackup = await repository.has('config.ru');
  const puma = gems.has('puma');
  if (gems.has('rails') && (await repository.has('config/application.rb'))) {
    const command = 'bundle exec rails server -b 0.0.0.0 -p $PORT';
    return { framework: 'Rails', port: 3000, command, from: 'config/application.rb' };
  }
  const sinatra = gems.has('sinatra');
  if (rackup) {
    const command = puma ? 'bundle exec puma -b tcp://0.0.0.0:$PORT' : 'bundle exec rackup -o 0.0.0.0 -p $PORT';
    return { framework: sinatra ? 'Sinatra' : 'Rack', port: sinatra ? 4567 : 9292, command, from: 'config.ru' };
  }
  for (const file of ['app.rb', 'main.rb', 'server.rb']) {
    if (!(await repository.has(file))) continue;
    const options = sinatra ? ' -o 0.0.0.0 -p $PORT' : '';
    return {
      framework: sinatra ? 'Sinatra' : 'Ruby',
      port: sinatra ? 4567 : 8080,
      command: `bundle exec ruby ${file}${options}`,
      from: file,
    };
  }
  return null;
}
