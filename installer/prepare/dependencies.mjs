/** `npm ci` when node_modules is not what package-lock.json asks for, and nothing when it is. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PrepareError } from './progress.mjs';
import { isInstalled, runLogged } from './programs.mjs';
import { tail } from './debian.mjs';

/** Path of the pinned Node below the repository. */
export const pinnedNode = (root, arch) => join(root, 'node_modules', `node-linux-${arch}`, 'bin', 'node');

/** Inside node_modules, so that it goes with it. Holds the hash of the lock that was installed. */
const stampFile = (root) => join(root, 'node_modules', '.orkestr-lock');

const lockHash = (root) =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/** @returns {boolean} whether everything of the lock is installed, in its exact version */
export function isInstalledAsLocked(root, arch) {
  if (!existsSync(pinnedNode(root, arch))) return false;
  const hash = lockHash(root);
  if (existsSync(stampFile(root)) && readFileSync(stampFile(root), 'utf8') === hash) return true;
  // Somebody ran npm by hand: npm's own record tells as well, and saves them a reinstall.
  if (!matchesHiddenLock(root)) return false;
  writeFileSync(stampFile(root), hash);
  return true;
}

/** Compares package-lock.json with what npm recorded as installed; optional packages may be of another platform. */
function matchesHiddenLock(root) {
  const hiddenFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hiddenFile)) return false;
  const installed = JSON.parse(readFileSync(hiddenFile, 'utf8')).packages;
  const { '': _root, ...wanted } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const present = ([path, entry]) =>
    installed[path] ? installed[path].version === entry.version : entry.optional === true;
  return Object.entries(wanted).every(present) && Object.keys(installed).every((path) => path in wanted);
}

/**
 * @param {string} root
 * @param {{ env: NodeJS.ProcessEnv, logFile: string, arch: string }} context
 */
export async function installDependencies(root, { env, logFile, arch }) {
  const began = existsSync(logFile) ? readFileSync(logFile).length : 0;
  const code = await runLogged([...npmCommand(env), 'ci', '--no-audit', '--no-fund'], { cwd: root, env, logFile });
  if (code !== 0) throw npmFailed(tail(logFile, began, 30), logFile);
  if (!existsSync(pinnedNode(root, arch))) {
    throw new PrepareError('ORK_PREPARE_FAILED', `npm ci left out node-linux-${arch}, the Node that orkestr runs on.`, {
      mend: `Look for "optional" or "omit" in your npm configuration, and at ${logFile}.`,
    });
  }
  writeFileSync(stampFile(root), lockHash(root));
}

/** npm tells the scripts it runs where it is itself; outside of one the PATH decides. */
function npmCommand(env) {
  if (env.npm_execpath && existsSync(env.npm_execpath)) return [process.execPath, env.npm_execpath];
  if (isInstalled('npm', env.PATH ?? '')) return ['npm'];
  throw new PrepareError('ORK_PREPARE_FAILED', 'npm was not found.', { mend: 'Start this as `npm start`.' });
}

function npmFailed(evidence, logFile) {
  const text = evidence.join('\n');
  const reasons = [
    [
      /EUSAGE[\s\S]*in sync|can only install packages when/,
      'package.json and package-lock.json do not match.',
      'Run `npm install` and commit the lock file.',
    ],
    [
      /ETARGET|E404|notarget/,
      'The npm registry does not have a version that the lock names.',
      'Mirrors lag behind: try again later, or another registry.',
    ],
    [
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET/,
      'The npm registry could not be reached.',
      'Check the network and `npm config get registry`.',
    ],
    [
      /SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|CERT_/,
      'The npm registry shows a certificate that is not trusted here.',
      'Install its CA with update-ca-certificates.',
    ],
    [/ENOSPC/, 'The disk is full.', 'Free some space, then run it again.'],
  ];
  const [, sentence, mend] = reasons.find(([pattern]) => pattern.test(text)) ?? [
    null,
    'npm ci failed.',
    'Its last lines are below.',
  ];
  return new PrepareError('ORK_PREPARE_FAILED', sentence, { mend: `${mend} Full output: ${logFile}`, evidence });
}
