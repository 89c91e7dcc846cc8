/** The Debian mirror of the machine's own apt, so that images are built from the same mirror. */
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

/** Debian's public mirror, for hosts whose apt has none configured (another distribution, for example). */
const PUBLIC = {
  main: 'http://deb.debian.org/debian',
  security: 'http://deb.debian.org/debian-security',
} as const;

/**
 * The sources of a release ("trixie") in apt's own parsed configuration, else sources on the same servers as the
 * machine's own release.
 */
export async function findMirror(release: string, by: Exec = exec): Promise<Mirror> {
  const listed = await by(
    'apt-get',
    ['indextargets', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)', 'Created-By: Packages'],
    { timeoutMs: 30_000 },
  ).catch(() => null); // no apt on this host: use the public mirror
  const known = listed === null || listed.exitCode !== 0 ? [] : parseTargets(listed.stdout);
  const own = known.filter(({ suite }) => releaseOf(suite) === release);
  const main = own.find(({ suite }) => suite === release)?.uri;
  return main === undefined ? mirrorLike(known, release) : { main, sources: own };
}

/** The suites of `release` on the servers that host another Debian release. */
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

/** Debian releases that the machine may run. */
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

/** Adds a suite of the same server. apt uses it only on request (`--target-release`). */
export const withSuite = ({ main, sources }: Mirror, suite: string): Mirror => ({
  main,
  sources: [...sources, { uri: main, suite, component: 'main' }],
});

/** The sources in the format of sources.list(5). */
export const sourcesList = (mirror: Mirror): string =>
  mirror.sources.map(({ uri, suite, component }) => `deb ${uri} ${suite} ${component}\n`).join('');
