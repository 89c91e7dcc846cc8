/** Crates with non-Rust code, and the Debian packages for it that the slim image lacks: to build, and to run. */

const LIBRARIES: Readonly<Record<string, readonly [build: readonly string[], run: readonly string[]]>> = {
  'openssl-sys': [
    ['pkg-config', 'libssl-dev'],
    ['ca-certificates', 'libssl3'],
  ],
  // Builds OpenSSL from source, for the feature `vendored`.
  'openssl-src': [['make', 'perl'], []],
  'pq-sys': [['libpq-dev'], ['libpq5']],
  'mysqlclient-sys': [['default-libmysqlclient-dev', 'pkg-config'], ['libmariadb3']],
  // tonic: calls protoc, and reads its bundled types.
  'prost-build': [['libprotobuf-dev', 'protobuf-compiler'], []],
  'tikv-jemalloc-sys': [['make'], []],
  'jemalloc-sys': [['make'], []],
  'rdkafka-sys': [['cmake', 'g++', 'make'], []],
  'libduckdb-sys': [['g++'], []],
  'link-cplusplus': [['g++'], []],
};

export interface RustPackages {
  readonly build: readonly string[];
  readonly run: readonly string[];
}

/**
 * @param lock the lockfile, which lists all transitive crates; null if there is none
 * @param listed crates in the manifest, used if there is no lockfile
 */
export function rustPackages(lock: string | null, listed: Readonly<Record<string, unknown>>): RustPackages {
  const locked = new Set([...(lock ?? '').matchAll(/^name = "([^"]+)"$/gm)].map(([, name = '']) => name));
  const isThere = (crate: string): boolean => locked.has(crate) || crate.replace(/-sys$/, '') in listed;
  const known = Object.entries(LIBRARIES).flatMap(([crate, packages]) => (isThere(crate) ? [packages] : []));
  return {
    build: [...new Set(known.flatMap(([build]) => build))],
    run: [...new Set(known.flatMap(([, run]) => run))],
  };
}
