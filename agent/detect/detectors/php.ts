/** Detector: PHP, by composer.json or an index.php. */
import { z } from 'zod';
import type { Detector, Facts, DetectedApp, Miss } from '../detector.ts';
import { evidenceFor, lockWarning, versionFact } from '../evidence.ts';
import { PHP_START, writePhp } from '../dockerfiles/php.ts';
import type { PhpRecipe } from '../dockerfiles/php.ts';
import { frontEndOf } from '../front-end.ts';
import { parseJson } from '../manifests.ts';
import type { Need } from '../needs.ts';
import { extensionSetup } from '../php/extensions.ts';
import { neededExtensions } from '../php/needs.ts';
import { lists, readPackageJson } from '../node/package-json.ts';
import { joinPath } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { chooseRuntime, toolVersions, versionFile } from '../runtime.ts';
import type { Runtime } from '../runtime.ts';
import { admits } from '../versions.ts';

const Composer = z.looseObject({ require: z.record(z.string(), z.string()).default({}) });

const RUNTIME: Runtime = {
  name: 'PHP',
  kind: 'php',
  digits: 2,
  lines: ['8.5', '8.3', '8.2', '8.1'],
  trixieSince: '8.1',
  supported: ['8.5', '8.4', '8.3', '8.2'],
  standing: 'a version with security fixes until the end of 2028',
  files: [versionFile('.php-version'), ...toolVersions('php')],
};

const FRAMEWORKS: readonly (readonly [name: string, dependency: string])[] = [
  ['Laravel', 'laravel/framework'],
  ['Symfony', 'symfony/framework-bundle'],
  ['Slim', 'slim/slim'],
];

/** Variables required by packages that were installed with `--no-dev`. */
const ENVIRONMENT: Readonly<Record<string, string>> = { Symfony: 'APP_ENV=prod' };

const PORT = 8080;
/** Candidates for the served folder, the likeliest first. */
const DOCUMENT_ROOTS = ['public', 'web', 'htdocs', '.'];
/** Ignores platform requirements, since the composer image lacks the extensions of the final image. */
const INSTALL = 'composer install --no-dev --no-scripts --no-interaction --prefer-dist --ignore-platform-reqs';
const CONFIGURATION = 'generated Apache configuration';

export const php: Detector = {
  name: 'php',
  frameworks: ['PHP', ...FRAMEWORKS.map(([name]) => name)],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const { repository } = request;
    const composer = await readComposer(repository);
    const documentRoot = await documentRootOf(repository);
    if (documentRoot === null) {
      const manifest = composer.manifests.length === 0 ? 'no composer.json, and ' : 'composer.json, but ';
      return { missed: `${manifest}no index.php in ${DOCUMENT_ROOTS.join(', ')}` };
    }
    const { packages, manifests } = composer;
    const [framework, dependency] = FRAMEWORKS.find(([, name]) => name in packages) ?? ['PHP'];
    const wanted = packages['php'];
    // In composer, `~8.1` means any 8.x from 8.1 on.
    const range = wanted?.replaceAll('~', '~=');
    const said = range === undefined ? null : { value: range, from: 'composer.json require.php' };
    const runtime = await chooseRuntime(request, [repository], RUNTIME, said);
    const build = framework === 'Symfony' ? await assetMap(repository, packages) : null;
    const facts: Facts = {
      framework,
      runtime: 'php',
      ...versionFact(runtime),
      port: PORT,
      ...(manifests.length > 0 && { installCommand: INSTALL }),
      ...(build !== null && { buildCommand: build }),
      startCommand: PHP_START,
    };
    const assets = await assetsOf(repository);
    const extensions = extensionSetup(await neededExtensions(repository, packages, documentRoot));
    const recipe = {
      image: runtime.image,
      documentRoot,
      manifests,
      assets,
      extensions,
      environment: ENVIRONMENT[framework],
    };
    const index = joinPath(documentRoot, 'index.php');
    return {
      confidence: manifests.length === 0 ? 'likely' : 'certain',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: dependency === undefined ? index : `composer.json lists ${dependency}`,
          runtime: index,
          install: manifests.at(-1) ?? '',
          build: 'importmap.php',
          start: CONFIGURATION,
          port: CONFIGURATION,
        },
        { runtime: 'PHP', version: runtime.evidence },
      ),
      warnings: [
        ...runtime.warnings,
        ...lockWarning('composer.lock', manifests.length !== 1),
        ...extensionWarning(extensions.unknown),
      ],
      needs: framework === 'Laravel' ? laravelNeeds(packages) : [],
      ...(assets && { includes: ['node'] }),
      dockerfile: { origin: 'generated', write: (final) => writePhp(recipe, final) },
    };
  },
};

/** Since Laravel 11, a new app keeps its sessions in a database, whose file is not in the repository. */
function laravelNeeds({ 'laravel/framework': range = '' }: ComposerFacts['packages']): Need[] {
  const key = { anyOf: ['APP_KEY'], hint: '`php artisan key:generate --show` makes one.' };
  if (admits(range, '10')) return [key];
  const hint =
    'A new app keeps sessions and cache in a database. To do without one, set SESSION_DRIVER=file and CACHE_STORE=file.';
  return [key, { anyOf: ['DB_CONNECTION', 'DB_URL', 'SESSION_DRIVER'], hint }];
}

const CONSOLE = 'php bin/console';

/** How Symfony builds its assets without Node.js, once all files are there; null if it does not use AssetMapper. */
async function assetMap(repository: RepositoryView, packages: ComposerFacts['packages']): Promise<string | null> {
  if (!('symfony/asset-mapper' in packages) || !(await repository.has('importmap.php'))) return null;
  return [
    // Pages fail if a package of the map is missing, and only development mode serves uncompiled assets.
    `${CONSOLE} importmap:install`,
    ...('symfonycasts/tailwind-bundle' in packages ? [`${CONSOLE} tailwind:build --minify`] : []),
    ...('symfonycasts/sass-bundle' in packages ? [`${CONSOLE} sass:build`] : []),
    `${CONSOLE} asset-map:compile`,
  ].join(' && ');
}

interface ComposerFacts {
  /** Required packages: package → range. */
  readonly packages: Readonly<Record<string, string>>;
  /** composer.json, then the lockfile; empty if there is neither. */
  readonly manifests: readonly string[];
}

async function readComposer(repository: RepositoryView): Promise<ComposerFacts> {
  const text = await repository.text('composer.json');
  if (text === null) return { packages: {}, manifests: [] };
  const lock = (await repository.has('composer.lock')) ? ['composer.lock'] : [];
  return { packages: parseJson('composer.json', text, Composer).require, manifests: ['composer.json', ...lock] };
}

async function documentRootOf(repository: RepositoryView): Promise<string | null> {
  for (const folder of DOCUMENT_ROOTS) {
    if (await repository.has(joinPath(folder, 'index.php'))) return folder;
  }
  return null;
}

/** Generates TypeScript from the app's routes during the Vite build, by calling artisan. */
const CALLS_PHP = '@laravel/vite-plugin-wayfinder';

/** The front end, if package.json has a build script. */
async function assetsOf(repository: RepositoryView): Promise<PhpRecipe['assets']> {
  const manifest = await readPackageJson(repository);
  if (manifest === null || !Object.hasOwn(manifest.scripts, 'build') || !(await repository.has('public/index.php')))
    return null;
  const frontEnd = await frontEndOf(repository, manifest);
  return { frontEnd, build: `${frontEnd.run} build`, callsPhp: lists(manifest, CALLS_PHP) };
}

function extensionWarning(unknown: readonly string[]): string[] {
  if (unknown.length === 0) return [];
  const names = unknown.slice(0, 10).map((name) => `ext-${name}`);
  return [
    `composer asks for extensions that orkestr cannot install: ${names.join(', ')}. If the app needs them, add a Dockerfile.`,
  ];
}
