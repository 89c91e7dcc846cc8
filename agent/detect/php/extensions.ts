/** PHP extensions that the official image lacks, and how to install each. */

interface Extension {
  /** Debian packages that it is compiled with. Their libraries stay in the image, since it needs them at run time. */
  readonly packages?: readonly string[];
  /** Options that it is compiled with. */
  readonly options?: string;
  /** Not part of PHP's own sources. */
  readonly pecl?: true;
}

const EXTENSIONS: Readonly<Record<string, Extension>> = {
  bcmath: {},
  bz2: { packages: ['libbz2-dev'] },
  calendar: {},
  exif: {},
  gd: {
    packages: ['libfreetype-dev', 'libjpeg62-turbo-dev', 'libpng-dev', 'libwebp-dev'],
    options: '--with-freetype --with-jpeg --with-webp',
  },
  gettext: {},
  gmp: { packages: ['libgmp-dev'] },
  intl: { packages: ['libicu-dev'] },
  ldap: { packages: ['libldap-dev'] },
  mysqli: {},
  pcntl: {},
  pdo_mysql: {},
  pdo_pgsql: { packages: ['libpq-dev'] },
  pgsql: { packages: ['libpq-dev'] },
  shmop: {},
  soap: { packages: ['libxml2-dev'] },
  sockets: {},
  sysvmsg: {},
  sysvsem: {},
  sysvshm: {},
  tidy: { packages: ['libtidy-dev'] },
  xsl: { packages: ['libxslt1-dev'] },
  zip: { packages: ['libzip-dev'] },
  amqp: { pecl: true, packages: ['librabbitmq-dev'] },
  apcu: { pecl: true },
  igbinary: { pecl: true },
  imagick: { pecl: true, packages: ['libmagickwand-dev'] },
  memcached: { pecl: true, packages: ['libmemcached-dev', 'libssl-dev', 'zlib1g-dev'] },
  mongodb: { pecl: true, packages: ['libssl-dev'] },
  opentelemetry: { pecl: true },
  redis: { pecl: true },
  uuid: { pecl: true, packages: ['uuid-dev'] },
  yaml: { pecl: true, packages: ['libyaml-dev'] },
};

/** Extensions that the official image has. */
const BUILT_IN =
  /^(?:ctype|curl|date|dom|fileinfo|filter|ftp|hash|iconv|json|libxml|mbstring|mysqlnd|openssl|pcre|pdo|pdo_sqlite|phar|posix|random|readline|reflection|session|simplexml|sodium|spl|sqlite3|standard|tokenizer|xml|xmlreader|xmlwriter|zend-opcache|opcache|zlib)$/;

export interface ExtensionSetup {
  /** Required Debian packages. */
  readonly packages: readonly string[];
  /** `gd --with-freetype`. */
  readonly configure: readonly string[];
  /** Names of PHP's own extensions, and of PECL's. */
  readonly own: readonly string[];
  readonly pecl: readonly string[];
}

/** What to install for the required extensions, and the names of unknown ones. */
export function extensionSetup(needed: ReadonlySet<string>): ExtensionSetup & { readonly unknown: readonly string[] } {
  const names = [...needed].filter((name) => !BUILT_IN.test(name)).toSorted();
  const known = names.flatMap((name) => {
    const extension = EXTENSIONS[name];
    return extension === undefined ? [] : [{ name, ...extension }];
  });
  return {
    packages: [...new Set(known.flatMap(({ packages = [] }) => packages))],
    configure: known.flatMap(({ name, options }) => (options === undefined ? [] : [`${name} ${options}`])),
    own: known.filter(({ pecl }) => pecl === undefined).map(({ name }) => name),
    pecl: known.filter(({ pecl }) => pecl === true).map(({ name }) => name),
    unknown: names.filter((name) => EXTENSIONS[name] === undefined),
  };
}
