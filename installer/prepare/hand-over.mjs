// @ts-check
/** Continues under the pinned Node as if it had run from the start: same terminal, same signals, same exit code. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const FORWARDED = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
/** How often to check that npm is still running, ms. */
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
    // A killed npm does not stop its child: notice that npm is gone, so that everything is stopped in order.
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
