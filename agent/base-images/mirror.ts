/** Where the machine's own apt gets Debian from, so that images are made from the same mirror. */
import { exec, type Exec } from '../lib/exec.ts';

interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly component: string;
}

export interface Mirror {
  /** For debootstrap: the mirror of the release itself. */
  readonly main: string;
  /** All of Debian's own main suites that apt uses (release, updates, security). */
  readonly sources: readonly AptSource[];
}

/** Debian's public default, for hosts whose apt names none (another distribution, say). */
const PUBLIC = {
  main: 'http://deb.debian.org/debian',
  security: 'http://deb.debian.org/debian-security',
} as const;

/**
 * Where a release ("trixie") comes from by apt's own parsed configuration: the sources of that release, else the mirror from
 * which the machine has its own one.
 */
export async function findMirror(release: string, by: Exec = exec): Promise<Mirror> {
  const listed = await by(
    'apt-get',
    ['indextargets', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)', 'Created-By: Packages'],
    { timeoutMs: 30_000 },
  ).catch(() => null); // no apt on this host at all: the public default does
  const known = listed === null || listed.exitCode !== 0 ? [] : parseTargets(listed.stdout);
  const own = known.filter(({ suite }) => releaseOf(suite) === release);
  const main = own.find(({ suite }) => suite === release)?.uri;
  return main === undefined ? mirrorLike(known, release) : { main, sources: own };
}

/** The suites of `release` from the same servers as those of another release of Debian. */
function mirrorLike(known: readonly AptSource[], release: string): Mirror {
  const main = known.find(({ suite }) => suite === releaseOf(suite))?.uri ?? PUBLIC.main;
  const security = known.find(({ suite }) => suite.endsWith('-security'))?.uri ?? PUBLIC.security;
  const source = (uri: string, suite: string): AptSource => ({ uri, suite, component: 'main' });
  if (release === 'sid') return { main, sources: [source(main, release)] };
  return {
    main,
    sources: [source(main, release), source(main, `${release}-updates`), source(security, `${release}-security`)],
  };
}

/** Releases of Debian that a machine may be of. */
const RELEASES = ['bullseye', 'bookworm', 'trixie', 'forky', 'sid'];
const releaseOf = (suite: string): string => suite.replace(/-(?:updates|security)$/, '');

/** Lines "uri suite component" → Debian's own main sources. */
export function parseTargets(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const [uri = '', suite = '', component = ''] = line.trim().split(' ');
    const isOwn = /^https?:\/\//.test(uri) && RELEASES.includes(releaseOf(suite)) && component === 'main';
    return isOwn ? [{ uri, suite, component }] : [];
  });
}

/** With one more suite of the same server, which apt only takes from where it is told to (`--target-release`). */
export const withSuite = ({ main, sources }: Mirror, suite: string): Mirror => ({
  main,
  sources: [...sources, { uri: main, suite, component: 'main' }],
});

/** The sources as sources.list(5) has them. */
export const sourcesList = (mirror: Mirror): string =>
  mirror.sources.map(({ uri, suite, component }) => `deb ${uri} ${suite} ${component}\n`).join('');
