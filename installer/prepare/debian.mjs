// @ts-check
/** Installs the Debian packages whose programs are missing. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { explainFailure, PrepareError } from './progress.mjs';
import { isInstalled, runLogged } from './programs.mjs';

const POLICY_FILE = '/usr/sbin/policy-rc.d';
const POLICY_MARK = '# Made by orkestr while it installs packages; safe to delete.';

/** @type {readonly import('./progress.mjs').Reason[]} */
const REASONS = [
  {
    pattern: /Packages need to be removed but remove is disabled/,
    sentence: 'An installed package conflicts: apt would have to remove it.',
    mend: 'Remove it yourself, or install Docker Engine from the same source as its other parts.',
  },
  {
    pattern: /Could not get lock|is held by process/,
    sentence: 'Another package manager is running.',
    mend: 'Wait until it has finished, then run this again.',
  },
  {
    pattern: /Temporary failure resolving|Could not resolve|Failed to fetch|Could not connect/,
    sentence: 'The Debian mirror could not be reached.',
    mend: 'Check the network and /etc/apt/sources.list, then run this again.',
  },
  {
    pattern: /Unable to locate package|has no installation candidate/,
    sentence: 'A package is unknown to this system.',
    mend: 'Enable the section `main` of Debian 12 in /etc/apt/sources.list, then run this again.',
  },
  {
    pattern: /No space left on device|don't have enough free space/,
    sentence: 'The disk is full.',
    mend: 'Free some space, then run this again.',
  },
];

/**
 * The groups of packages.json for a script: the one named by its path, and for each of its options `FILE --option`, with
 * what only that option needs.
 *
 * @param {string} file
 * @param {readonly string[]} args
 */
export const groupsOf = (file, args) => [
  file,
  ...args.filter((arg) => arg.startsWith('--')).map((option) => `${file} ${option}`),
];

/**
 * The packages of some groups of packages.json: name → programs that show that the package is installed. Includes the
 * groups that a group extends, and its packages for this processor only ("on-x64"). An unknown group is empty: most
 * scripts that are run by path need no Debian packages.
 *
 * @param {readonly string[]} groups
 * @param {string} arch as Node calls it
 * @returns {Map<string, readonly string[]>}
 */
export function readPackages(groups, arch = process.arch) {
  const file = JSON.parse(readFileSync(new URL('packages.json', import.meta.url), 'utf8'));
  /** @type {(group: string) => [string, readonly string[]][]} */
  const packagesOf = (group) => {
    const { extends: others = [], 'on-x64': x64 = {}, 'on-arm64': arm64 = {}, ...own } = file[group] ?? {};
    return [...others.flatMap(packagesOf), ...Object.entries({ ...own, ...(arch === 'arm64' ? arm64 : x64) })];
  };
  return new Map(groups.flatMap(packagesOf));
}

/**
 * Packages of which a program is missing. Programs decide, not dpkg: Docker from its own repository or installed by
 * hand is as good as Debian's. A package without programs, such as a library, is detected by a file: an absolute path.
 *
 * @param {ReadonlyMap<string, readonly string[]>} packages
 * @param {string} path
 */
export function missingPackages(packages, path) {
  return [...packages]
    .filter(
      ([, programs]) => !programs.every((name) => (name.startsWith('/') ? existsSync(name) : isInstalled(name, path))),
    )
    .map(([name]) => name);
}

/**
 * @param {readonly string[]} missing
 * @param {{ env: NodeJS.ProcessEnv, logFile: string, say: (detail: string) => void, quietly?: boolean }} context
 *   quietly: the installation starts no daemon of these packages, not even under systemd
 */
export async function installPackages(missing, { env, logFile, say, quietly = false }) {
  if (!isInstalled('apt-get', env['PATH'] ?? '')) {
    throw new PrepareError(
      'ORK_PREPARE_FAILED',
      `Missing on this machine, and there is no apt-get to install it: ${missing.join(', ')}.`,
      {
        mend: 'Install these with the package manager of this system (names are those of Debian 12), then run this again.',
      },
    );
  }
  /** @param {readonly string[]} args */
  const apt = (args) =>
    runLogged(['apt-get', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3', ...args], {
      env: { ...env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' },
      logFile,
    });
  say('apt-get update');
  // A dead third-party repository must not block what Debian's own provide; if it matters, the install reports it.
  const updated = await apt(['update']);
  say(`apt-get install ${missing.join(' ')}`);
  const release = quietly || !existsSync('/run/systemd/system') ? holdServices() : () => {};
  try {
    // --no-remove: never remove a user's packages (docker-ce-cli conflicts with docker.io) to make room for ours.
    const { code, lastLines } = await apt(['install', '-y', '--no-install-recommends', '--no-remove', ...missing]);
    if (code === 0) return;
    const evidence = updated.code === 0 ? lastLines : [...updated.lastLines.slice(-10), ...lastLines];
    throw explainFailure(REASONS, { sentence: `apt-get could not install ${missing.join(', ')}.`, evidence, logFile });
  } finally {
    release();
  }
}

/**
 * Keeps packages from starting their daemons (invoke-rc.d, Debian policy 9.3.3.2). Without systemd, nobody would stop
 * an engine that an init script has started: it is started later, and then it is ours. The web servers of a bench would
 * take the ports of the user's own.
 *
 * @returns {() => void} lets services start again
 */
function holdServices() {
  const isOurs = () => readFileSync(POLICY_FILE, 'utf8').includes(POLICY_MARK);
  if (existsSync(POLICY_FILE) && !isOurs()) return () => {};
  writeFileSync(POLICY_FILE, `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`, { mode: 0o755 });
  return () => rmSync(POLICY_FILE, { force: true });
}
