/** Node.js packages that wrap C code, and the Debian packages that they need. */

const COMPILER = ['python3', 'make', 'g++'];
const CAIRO = ['pkg-config', 'libcairo2-dev', 'libpango1.0-dev', 'libjpeg-dev', 'libgif-dev', 'librsvg2-dev'];

interface Library {
  readonly build: readonly string[];
  readonly run?: readonly string[];
  /** Affected version ranges; absent: all. */
  readonly versions?: RegExp;
}

/**
 * Excludes packages with prebuilt binaries for every Node.js (Node-API). These have them for some lines at best, and
 * are compiled for the others.
 */
const LIBRARIES: Readonly<Record<string, Library>> = {
  'better-sqlite3': { build: COMPILER },
  'better-sqlite3-multiple-ciphers': { build: COMPILER },
  canvas: {
    versions: /^\D{0,2}[12](?:\D|$)/,
    build: [...COMPILER, ...CAIRO],
    run: ['libcairo2', 'libpango-1.0-0', 'libpangocairo-1.0-0', 'libjpeg62-turbo', 'libgif7', 'librsvg2-2'],
  },
  deasync: { build: COMPILER },
  hiredis: { build: COMPILER },
  'isolated-vm': { build: COMPILER },
  libpq: { build: [...COMPILER, 'libpq-dev'], run: ['libpq5'] },
  libxmljs: { build: COMPILER },
  libxmljs2: { build: COMPILER },
  'node-gyp': { build: COMPILER },
  'node-pty': { build: COMPILER },
  'pg-native': { build: [...COMPILER, 'libpq-dev'], run: ['libpq5'] },
  re2: { build: COMPILER },
};

/** `git+https://…`, `git@…`, `gitlab:user/name`, `user/name`: dependencies that package managers fetch by git. */
const OF_GIT = /^(?:git[+:@]|(?:github|gitlab|bitbucket|gist):|https?:\S+\.git(?:#|$)|[\w-]+\/[\w.-]+(?:#|$))/;

export interface SystemPackages {
  readonly build: readonly string[];
  readonly run: readonly string[];
}

/** Debian packages for the dependencies (name → range): to install, and to run. */
export function systemPackages(dependencies: Readonly<Record<string, string>>): SystemPackages {
  const known = Object.entries(LIBRARIES).flatMap(([name, library]) => {
    const range = Object.hasOwn(dependencies, name) ? dependencies[name] : undefined;
    return range !== undefined && library.versions?.test(range) !== false ? [library] : [];
  });
  const needsGit = Object.values(dependencies).some((range) => OF_GIT.test(range));
  return {
    build: [...new Set([...known.flatMap(({ build }) => build), ...(needsGit ? ['git', 'ca-certificates'] : [])])],
    run: [...new Set(known.flatMap(({ run = [] }) => run))],
  };
}
