import type { BaseRecipe } from '../recipe.ts';

/**
 * A substitute for the official image's script of this name, which compiles extensions: this one installs Debian
 * packages, and skips those included in Debian's PHP.
 */
const INSTALL_EXTENSIONS = `#!/bin/sh
set -eu
wanted=$*
set --
for name in $wanted; do
  case $name in
    -*|calendar|exif|gettext|pcntl|shmop|sockets|sysvmsg|sysvsem|sysvshm) continue ;;
    mysqli|pdo_mysql) set -- "$@" php-mysql ;;
    pgsql|pdo_pgsql) set -- "$@" php-pgsql ;;
    xsl) set -- "$@" php-xml ;;
    *) set -- "$@" "php-$name" ;;
  esac
done
[ $# -gt 0 ] || exit 0
apt-get update
apt-get install -y --no-install-recommends "$@"
rm -rf /var/lib/apt/lists/*
`;

const PECL = `#!/bin/sh
set -eu
[ "$1" = install ]
shift
exec docker-php-ext-install "$@"
`;

/** Debian's PHP in Apache, with the official image's extensions; the app's Dockerfile adds the configuration. */
export const php: BaseRecipe = {
  kind: 'php',
  from: 'debian',
  packages: ['apache2', 'libapache2-mod-php', 'php-curl', 'php-mbstring', 'php-sqlite3', 'php-xml'],
  files: { '/usr/local/bin/docker-php-ext-install': INSTALL_EXTENSIONS, '/usr/local/bin/pecl': PECL },
  links: {
    '/usr/local/bin/docker-php-ext-configure': '/bin/true',
    '/usr/local/bin/docker-php-ext-enable': '/bin/true',
  },
  remove: ['/var/www/html'],
  env: {},
  command: ['apache2', '-v'],
};

/** Debian's Composer, with the programs by which it fetches packages. */
export const composer: BaseRecipe = {
  kind: 'composer',
  from: 'debian',
  packages: ['composer', 'git', 'unzip', 'php-curl', 'php-mbstring', 'php-xml'],
  env: {},
  command: ['composer', '--version'],
};
