// @ts-check
/** Finding and running programs, by argv only. */
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Debian has daemons and network tools in folders that an ordinary user's PATH lacks. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * `path` with the missing system folders appended, so that dockerd and iptables are found with a trimmed PATH, too.
 *
 * @param {string | undefined} path
 */
export function completePath(path) {
  const folders = (path ?? '').split(':').filter(Boolean);
  return [...folders, ...SYSTEM_FOLDERS.filter((folder) => !folders.includes(folder))].join(':');
}

/**
 * @param {string} name
 * @param {string} path
 * @returns {boolean} whether `name` is an executable in a folder of `path`
 */
export function isInstalled(name, path) {
  return path.split(':').some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      // Missing or not executable is a result, not a failure.
      return false;
    }
  });
}

/**
 * Runs a program to its end and appends its output to a log file.
 *
 * @param {readonly [string, ...string[]]} argv
 * @param {{ logFile: string, env: NodeJS.ProcessEnv, cwd?: string }} options
 * @returns {Promise<{ code: number, lastLines: string[] }>} its exit code, 127 when it could not be started
 */
export function runLogged(argv, { logFile, env, cwd }) {
  const [program, ...args] = argv;
  const began = existsSync(logFile) ? readFileSync(logFile).length : 0;
  const lastLines = () => readFileSync(logFile).subarray(began).toString('utf8').split('\n').filter(Boolean).slice(-30);
  return new Promise((resolve) => {
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(program, args, { env, stdio: ['ignore', log, log], ...(cwd ? { cwd } : {}) });
    closeSync(log);
    child.once('error', (error) => resolve({ code: 127, lastLines: [error.message] }));
    child.once('close', (code) => resolve({ code: code ?? 1, lastLines: lastLines() }));
  });
}
