// @ts-check
/** Whether this machine can run orkestr at all. */
import { PrepareError } from './progress.mjs';

/** Oldest glibc that the prebuilt SQLite of better-sqlite3 loads on (Debian 12 has 2.36, Ubuntu 22.04 2.35). */
const OLDEST_GLIBC = { major: 2, minor: 34 };

/** @typedef {{ platform: string, arch: string, uid: number, glibc: string | undefined }} Machine */

/**
 * The facts that checkMachine checks, read from this process.
 *
 * @returns {Machine}
 */
export function readMachine() {
  // Resolving every network interface is the slow part of a report, and not needed. Older Node ignores the setting.
  Object.assign(process.report, { excludeNetwork: true });
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  return {
    platform: process.platform,
    arch: process.arch,
    uid: process.getuid?.() ?? -1,
    glibc: report.header.glibcVersionRuntime,
  };
}

/**
 * @param {Machine} machine
 * @param {{ root: boolean }} needs
 * @returns {string} what it is, for people
 */
export function checkMachine(machine, needs) {
  if (machine.platform !== 'linux' || !['x64', 'arm64'].includes(machine.arch)) {
    throw new PrepareError(
      'ORK_MACHINE_UNFIT',
      `orkestr runs on Linux x64 and arm64; this is ${machine.platform} ${machine.arch}.`,
      {
        mend: 'Use a Linux server or virtual machine.',
      },
    );
  }
  if (!isNewEnough(machine.glibc)) {
    const found = machine.glibc ? `glibc ${machine.glibc}` : 'no glibc (musl?)';
    throw new PrepareError(
      'ORK_MACHINE_UNFIT',
      `orkestr needs glibc ${OLDEST_GLIBC.major}.${OLDEST_GLIBC.minor} or newer; this machine has ${found}.`,
      {
        mend: 'Use Debian 12, Ubuntu 22.04 or newer.',
      },
    );
  }
  if (needs.root && machine.uid !== 0) {
    throw new PrepareError(
      'ORK_MACHINE_UNFIT',
      'This needs root: it runs Docker Engine, a network namespace for builds and firewall rules.',
      { mend: 'Run it as root, e.g. `sudo npm start`.' },
    );
  }
  return `Linux ${machine.arch}, glibc ${machine.glibc}${machine.uid === 0 ? ', root' : ''}`;
}

/** @param {string | undefined} glibc e.g. `2.36` */
function isNewEnough(glibc) {
  const [major = 0, minor = 0] = (glibc ?? '').split('.').map(Number);
  return major > OLDEST_GLIBC.major || (major === OLDEST_GLIBC.major && minor >= OLDEST_GLIBC.minor);
}
