import type { BaseRecipe } from '../recipe.ts';

/** PHP of Debian inside of Apache; the app's Dockerfile brings the configuration. */
export const php: BaseRecipe = {
  kind: 'php',
  from: 'debian',
  packages: [
    'apache2',
    'libapache2-mod-php',
    'php-curl',
    'php-gd',
    'php-intl',
    'php-mbstring',
    'php-mysql',
    'php-pgsql',
    'php-sqlite3',
    'php-xml',
    'php-zip',
  ],
  remove: ['/var/www/html'],
  env: {},
  command: ['apache2', '-v'],
};

/** Composer of Debian, and what it fetches packages with. */
export const composer: BaseRecipe = {
  kind: 'composer',
  from: 'debian',
  packages: ['composer', 'git', 'unzip', 'php-curl', 'php-mbstring', 'php-xml'],
  env: {},
  command: ['composer', '--version'],
};
