/** Generated Dockerfile for PHP: Apache with PHP inside, as any user, on $PORT. */
import type { Generated, WriteRequest } from '../detector.ts';
import type { ManagerSetup } from '../node/package-manager.ts';
import { cacheMount, runAs, stages, USER } from './common.ts';
import { installManager } from './package-manager.ts';

export interface PhpRecipe {
  readonly image: string;
  /** Folder that is served, `.` or `public`. */
  readonly documentRoot: string;
  /** The files that composer installs from; empty without composer.json. */
  readonly manifests: readonly string[];
  /** How the assets of the front end are built, into public/; null without any. */
  readonly assets: {
    readonly manifests: readonly string[];
    readonly install: string;
    readonly setup: ManagerSetup | null;
    readonly build: string;
  } | null;
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
  const front =
    assets === null
      ? []
      : [
          `FROM ${baseImages.node} AS assets`,
          'WORKDIR /app',
          ...(assets.setup === null ? [] : installManager(assets.setup)),
          `COPY ${assets.manifests.join(' ')} ./`,
          `RUN ${cacheMount(cacheScope, 'npm', '/root/.npm')} ${assets.install}`,
          'COPY . .',
          ...(manifests.length === 0 ? [] : ['COPY --from=vendor /app/vendor vendor']),
          `RUN ${assets.build}`,
        ];
  const run = [
    `FROM ${recipe.image}`,
    'ENV HOME=/tmp',
    'COPY .orkestr/apache.conf /etc/orkestr/apache.conf',
    `COPY --chown=${USER} . /app`,
    ...(manifests.length === 0 ? [] : [`COPY --from=vendor --chown=${USER} /app/vendor /app/vendor`]),
    ...(assets === null ? [] : [`COPY --from=assets --chown=${USER} /app/public /app/public`]),
    ...(buildCommand === undefined ? [] : ['WORKDIR /app', `RUN ${buildCommand} && chown -R ${USER} /app`]),
    // Apache's word for: finish what you have, then end.
    ...runAs(startCommand, '/app', 'SIGWINCH'),
  ];
  const root = documentRoot === '.' ? '/app' : `/app/${documentRoot}`;
  return { text: stages(vendor, front, run), files: [{ path: '.orkestr/apache.conf', text: apacheConf(root) }] };
}

/** Writes only below /tmp. Modules are those that the image has switched on. */
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
# Files that begin with a dot are never part of a site, except those of RFC 8615.
<LocationMatch "/\\.(?!well-known/)">
  Require all denied
</LocationMatch>
`;
}
