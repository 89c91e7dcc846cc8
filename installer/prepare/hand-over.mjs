// @ts-check
/** Goes on under the pinned Node, as if it had been that from the start: same terminal, same signals, same exit code. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const FORWARDED = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
/** How often to look whether npm is still there, ms. */
const PARENT_CHECK_MS = 1000;

/**
 * @param {readonly [string, ...string[]]} argv
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit code, 128 + n after signal n
 */
export function handOver(argv, env) {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env });
    for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
    // A killed npm takes nobody along: notice that it is gone, so that what was started is stopped in order.
    const parent = process.ppid;
    const watch = setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), PARENT_CHECK_MS);
    watch.unref();
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearInterval(watch);
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
