/** Where the machine's own apt gets Debian from, so that images are made from the same mirror. */
import { exec, type Exec } from '../lib/exec.ts';

export interface AptSource {
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
const PUBLIC_MIRROR = 'http://deb.debian.org/debian';

/** Reads the mirror of `release` ("bookworm") from apt's own parsed configuration. */
export async function findMirror(release: string, by: Exec = exec): Promise<Mirror> {
  const listed = await by(
    'apt-get',
    ['indextargets', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)', 'Created-By: Packages'],
    { timeoutMs: 30_000 },
  ).catch(() => null); // no apt on this host at all: the public default does
  const sources = listed === null || listed.exitCode !== 0 ? [] : parseTargets(listed.stdout, release);
  const main = sources.find(({ suite }) => suite === release)?.uri;
  if (main !== undefined) return { main, sources };
  return { main: PUBLIC_MIRROR, sources: [{ uri: PUBLIC_MIRROR, suite: release, component: 'main' }] };
}

/** Lines "uri suite component" → Debian's own main sources of a release. */
export function parseTargets(text: string, release: string): AptSource[] {
  const own = new Set([release, `${release}-updates`, `${release}-security`]);
  return text.split('\n').flatMap((line) => {
    const [uri = '', suite = '', component = ''] = line.trim().split(' ');
    return /^https?:\/\//.test(uri) && own.has(suite) && component === 'main' ? [{ uri, suite, component }] : [];
  });
}

/** The sources as sources.list(5) has them. */
export const sourcesList = (mirror: Mirror): string =>
  mirror.sources.map(({ uri, suite, component }) => `deb ${uri} ${suite} ${component}\n`).join('');
