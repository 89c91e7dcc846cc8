/** Generated Dockerfile for PHP: Apache with mod_php, as any user, on $PORT. */
import type { Generated, WriteRequest } from '../detector.ts';
import type { FrontEnd } from '../front-end.ts';
import type { ExtensionSetup } from '../php/extensions.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';
import { COPY_NODE, installFrontEnd } from './front-end.ts';

export interface PhpRecipe {
  readonly image: string;
  /** The served folder, `.` or `public`. */
  readonly documentRoot: string;
  /** Files for composer's install; empty without composer.json. */
  readonly manifests: readonly string[];
  readonly extensions: ExtensionSetup;
  /** Setting of the framework: `APP_ENV=prod`. */
  readonly environment: string | undefined;
  /** How the front end's assets are built into public/; null if there are none. */
  readonly assets: Assets | null;
}

interface Assets {
  readonly frontEnd: FrontEnd;
  readonly build: string;
  /** The build calls PHP and the app's own code. */
  readonly callsPhp: boolean;
}

export const PHP_START = 'apache2 -DFOREGROUND -f /etc/orkestr/apache.conf';

export function writePhp(recipe: PhpRecipe, { facts, stated, surroundings }: WriteRequest): Generated {
  const { installCommand = '', buildCommand, startCommand = '' } = facts;
  const { baseImages, cacheScope } = surroundings;
  const { manifests, assets, documentRoot } = recipe;
  const cache = cacheMount(cacheScope, 'composer', '/cache');
  const vendor =
    manifests.length === 0
      ? []
      : [
          `FROM ${baseImages.composer} AS vendor`,
          'WORKDIR /app',
          'ENV COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_CACHE_DIR=/cache',
          ...(stated.installCommand === undefined
            ? [`COPY ${manifests.join(' ')} ./`, `RUN ${cache} ${installCommand} --no-autoloader`, 'COPY . .']
            : ['COPY . .', `RUN ${cache} ${installCommand}`]),
          'RUN composer dump-autoload --no-dev --optimize --no-scripts',
        ];
  const withExtensions = [`FROM ${recipe.image}`, ...installExtensions(recipe.extensions)];
  const shared = assets?.callsPhp === true;
  const run = [
    ...(shared ? ['FROM php'] : withExtensions),
    `ENV HOME=/tmp${recipe.environment === undefined ? '' : ` ${recipe.environment}`}`,
    'COPY .orkestr/apache.conf /etc/orkestr/apache.conf',
    `COPY --chown=${USER} . /app`,
    ...(manifests.length === 0 ? [] : [`COPY --from=vendor --chown=${USER} /app/vendor /app/vendor`]),
    ...(assets === null ? [] : [`COPY --from=assets --chown=${USER} /app/public /app/public`]),
    ...(buildCommand === undefined ? [] : ['WORKDIR /app', `RUN ${buildCommand} && chown -R ${USER} /app`]),
    // Apache's signal for a graceful stop.
    ...runAs(startCommand, '/app', 'SIGWINCH'),
  ];
  const root = documentRoot === '.' ? '/app' : `/app/${documentRoot}`;
  const front = assets === null ? [] : assetsStage(assets, manifests.length > 0, surroundings);
  const bases = shared ? [[`FROM ${baseImages.node} AS node`], named(withExtensions, 'php')] : [];
  return {
    text: stages(vendor, ...bases, front, run),
    files: [{ path: '.orkestr/apache.conf', text: apacheConf(root) }],
  };
}

const named = ([from = '', ...rest]: readonly string[], name: string): string[] => [`${from} AS ${name}`, ...rest];

function assetsStage(
  { frontEnd, build, callsPhp }: Assets,
  hasVendor: boolean,
  { baseImages, cacheScope }: WriteRequest['surroundings'],
): string[] {
  return [
    ...(callsPhp ? ['FROM php AS assets', ...COPY_NODE] : [`FROM ${baseImages.node} AS assets`]),
    'WORKDIR /app',
    ...installFrontEnd(frontEnd, cacheScope),
    'COPY . .',
    ...(hasVendor ? ['COPY --from=vendor /app/vendor vendor'] : []),
    `RUN ${build}`,
  ];
}

/** Uses the scripts of the official image; base images that a host built itself have some of the same names. */
function installExtensions({ packages, configure, own, pecl }: ExtensionSetup): string[] {
  return [
    ...aptInstall(packages),
    ...configure.map((extension) => `RUN docker-php-ext-configure ${extension}`),
    ...(own.length === 0 ? [] : [`RUN docker-php-ext-install -j"$(nproc)" ${own.join(' ')}`]),
    ...(pecl.length === 0 ? [] : [`RUN pecl install ${pecl.join(' ')} && docker-php-ext-enable ${pecl.join(' ')}`]),
  ];
}

/** Writes only below /tmp. Loads the modules that the image has enabled. */
function apacheConf(root: string): string {
  return `# Written by orkestr.
ServerRoot /etc/apache2
ServerName localhost
ServerTokens Prod
ServerSignature Off
Listen \${PORT}
PidFile /tmp/apache2.pid
DefaultRuntimeDir /tmp
Mutex file:/tmp default
ErrorLog /dev/stderr
IncludeOptional mods-enabled/*.load
IncludeOptional mods-enabled/*.conf
<IfModule !rewrite_module>
  LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
</IfModule>
LogFormat "%h %l %u %t \\"%r\\" %>s %O" short
CustomLog /dev/stdout short
DocumentRoot ${root}
DirectoryIndex index.php index.html
# The proxy decrypts TLS, and only the proxy can reach the app.
SetEnvIf X-Forwarded-Proto "^https$" HTTPS=on
<IfModule php_module>
  # The official image has no php.ini, so PHP would show errors to visitors. They go to the log.
  php_flag display_errors off
  php_admin_flag expose_php off
</IfModule>
<FilesMatch "\\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
<Directory />
  Require all denied
</Directory>
<Directory ${root}>
  Options FollowSymLinks
  AllowOverride All
  Require all granted
  FallbackResource /index.php
</Directory>
# Files that begin with a dot are never part of a site, except .well-known (RFC 8615).
<LocationMatch "/\\.(?!well-known/)">
  Require all denied
</LocationMatch>
`;
}
