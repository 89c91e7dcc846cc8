/** Installs the Debian packages whose programs are missing, and nothing when none is. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { PrepareError } from './progress.mjs';
import { isInstalled, runLogged } from './programs.mjs';

const POLICY_FILE = '/usr/sbin/policy-rc.d';
const POLICY_MARK = '# Made by orkestr while it installs packages; safe to delete.';

/** The packages of one or more groups of packages.json: name → programs that tell that it is there. */
export function readPackages(groups) {
  const file = JSON.parse(readFileSync(new URL('packages.json', import.meta.url), 'utf8'));
  return new Map(groups.flatMap((group) => Object.entries(file[group])));
}

/**
 * Packages of which a program is missing. Programs decide, not dpkg: Docker from its own repository or a hand-made
 * install serves as well as Debian's.
 *
 * @param {ReadonlyMap<string, readonly string[]>} packages
 * @param {string} path
 */
export function missingPackages(packages, path) {
  return [...packages]
    .filter(([, programs]) => !programs.every((name) => isInstalled(name, path)))
    .map(([name]) => name);
}

/**
 * @param {readonly string[]} missing
 * @param {{ env: NodeJS.ProcessEnv, logFile: string, say: (detail: string) => void }} context
 */
export async function installPackages(missing, { env, logFile, say }) {
  if (!isInstalled('apt-get', env.PATH ?? '')) {
    throw new PrepareError(
      'ORK_PREPARE_FAILED',
      `Missing here, and there is no apt-get to install it: ${missing.join(', ')}.`,
      {
        mend: 'Install these with the package manager of this system (names are those of Debian 12), then run it again.',
      },
    );
  }
  const apt = (args) =>
    runLogged(['apt-get', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3', ...args], {
      env: { ...env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' },
      logFile,
    });
  const began = logLength(logFile);
  say('apt-get update');
  // A dead third-party repository must not stop what Debian's own can give; if it matters, the install says so.
  const updated = await apt(['update']);
  say(`apt-get install ${missing.join(' ')}`);
  const release = holdServices();
  try {
    // --no-remove: never take a user's packages away (docker-ce-cli conflicts with docker.io) to make room for ours.
    const code = await apt(['install', '-y', '--no-install-recommends', '--no-remove', ...missing]);
    if (code !== 0) throw aptFailed(missing, updated, tail(logFile, began), logFile);
  } finally {
    release();
  }
}

/**
 * Where systemd does not run, keep packages from starting their daemon (invoke-rc.d, Debian policy 9.3.3.2): an engine
 * from an init script is one that nobody would stop again. The engine is started later, and then it is ours.
 */
function holdServices() {
  const ours = () => existsSync(POLICY_FILE) && readFileSync(POLICY_FILE, 'utf8').includes(POLICY_MARK);
  if (existsSync('/run/systemd/system') || (existsSync(POLICY_FILE) && !ours())) return () => {};
  writeFileSync(POLICY_FILE, `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`, { mode: 0o755 });
  return () => rmSync(POLICY_FILE, { force: true });
}

function aptFailed(missing, updateCode, evidence, logFile) {
  const text = evidence.join('\n');
  const reasons = [
    [
      /but --no-remove|Packages need to be removed but remove is disabled/,
      'A package that is installed here conflicts: apt would have to remove it.',
      'Remove the package named below yourself, or install Docker Engine from where its other parts came.',
    ],
    [
      /Could not get lock|is held by process/,
      'Another package manager is running.',
      'Wait until it is done, then run it again.',
    ],
    [
      /Unable to locate package|has no installation candidate/,
      'A package is not known to this system.',
      'Enable the `main` section of Debian 12 in /etc/apt/sources.list, then run it again.',
    ],
    [
      /Temporary failure resolving|Could not resolve|Failed to fetch|Could not connect/,
      'The Debian mirror could not be reached.',
      'Check the network and /etc/apt/sources.list, then run it again.',
    ],
    [
      /No space left on device|don't have enough free space/,
      'The disk is full.',
      'Free some space, then run it again.',
    ],
  ];
  const [, sentence, mend] = reasons.find(([pattern]) => pattern.test(text)) ?? [
    null,
    `apt-get could not install ${missing.join(', ')}${updateCode === 0 ? '' : ', and its update failed before'}.`,
    'The last lines below say why.',
  ];
  return new PrepareError('ORK_PREPARE_FAILED', sentence, { mend: `${mend} Full output: ${logFile}`, evidence });
}

const logLength = (file) => (existsSync(file) ? readFileSync(file).length : 0);

/** The last lines that were written to `file` after byte `from`. */
export function tail(file, from, lines = 20) {
  return readFileSync(file).subarray(from).toString('utf8').split('\n').filter(Boolean).slice(-lines);
}
