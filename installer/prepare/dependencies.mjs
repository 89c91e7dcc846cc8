// @ts-check
/** Runs `npm ci` if node_modules does not match package-lock.json. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explainFailure, PrepareError } from './progress.mjs';
import { isInstalled, runLogged } from './programs.mjs';

/** @type {readonly import('./progress.mjs').Reason[]} */
const REASONS = [
  {
    pattern: /can only install packages when|Missing: .* from lock file|Invalid: lock file/,
    sentence: 'package.json and package-lock.json do not match.',
    mend: 'Run `npm install` and commit the lock file.',
  },
  {
    pattern: /ETARGET|E404|notarget/,
    sentence: 'The npm registry does not have a version named in the lock file.',
    mend: 'Mirrors may lag behind: try again later, or use another registry.',
  },
  {
    pattern: /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET/,
    sentence: 'The npm registry could not be reached.',
    mend: 'Check the network and `npm config get registry`.',
  },
  {
    pattern: /SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|CERT_/,
    sentence: 'The certificate of the npm registry is not trusted on this machine.',
    mend: 'Install its CA with update-ca-certificates.',
  },
  { pattern: /ENOSPC/, sentence: 'The disk is full.', mend: 'Free some space, then run this again.' },
];

/**
 * Path of the pinned Node below the repository.
 *
 * @param {string} root
 * @param {string} arch
 */
export const pinnedNode = (root, arch) => join(root, 'node_modules', `node-linux-${arch}`, 'bin', 'node');

/**
 * Inside node_modules, so that both are removed together. Holds the hash of the installed lock file.
 *
 * @param {string} root
 */
const stampFile = (root) => join(root, 'node_modules', '.orkestr-lock');

/** @param {string} root */
const lockHash = (root) =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/**
 * @param {string} root
 * @param {string} arch
 * @returns {boolean} whether everything in the lock file is installed, in its exact version
 */
export function isInstalledAsLocked(root, arch) {
  if (!existsSync(pinnedNode(root, arch))) return false;
  const hash = lockHash(root);
  if (existsSync(stampFile(root)) && readFileSync(stampFile(root), 'utf8') === hash) return true;
  // Somebody ran npm by hand: npm's own record shows what is installed, and saves a reinstall.
  if (!matchesHiddenLock(root, arch)) return false;
  writeFileSync(stampFile(root), hash);
  return true;
}

/**
 * Compares package-lock.json with what npm recorded as installed; optional packages of another platform may be absent.
 *
 * @param {string} root
 * @param {string} arch
 */
function matchesHiddenLock(root, arch) {
  const hiddenFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hiddenFile)) return false;
  const installed = readLock(hiddenFile);
  const wanted = readLock(join(root, 'package-lock.json'));
  delete wanted[''];
  return (
    Object.entries(wanted).every(([path, locked]) =>
      installed[path]
        ? installed[path].version === locked.version
        : locked.optional === true && !isForHere(locked, arch),
    ) && Object.keys(installed).every((path) => path in wanted)
  );
}

/**
 * Whether an optional package holds native code for this platform. npm silently skips those whose `engines` exclude the
 * Node that it runs on.
 *
 * @param {LockedPackage} locked
 * @param {string} arch
 */
const isForHere = ({ os, cpu, libc }, arch) =>
  os?.includes('linux') === true && cpu?.includes(arch) === true && libc?.includes('musl') !== true;

/**
 * @typedef {{ version?: string, optional?: boolean, os?: string[], cpu?: string[], libc?: string[] }} LockedPackage
 * @param {string} file
 * @returns {Record<string, LockedPackage>} install path → package
 */
const readLock = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;

/**
 * @param {string} root
 * @param {{ env: NodeJS.ProcessEnv, logFile: string, arch: string }} context
 */
export async function installDependencies(root, { env, logFile, arch }) {
  await npmCi(root, { env, logFile, node: process.execPath });
  if (!existsSync(pinnedNode(root, arch))) {
    throw new PrepareError('ORK_PREPARE_FAILED', `npm ci left out node-linux-${arch}, the Node that orkestr runs on.`, {
      mend: `Check your npm configuration for "optional" or "omit", and see ${logFile}.`,
    });
  }
  // An older Node installs the pinned one, but not native packages that exclude the older one: repeat with the pinned.
  if (!matchesHiddenLock(root, arch)) await npmCiByPinnedNode(root, { env, logFile, arch });
  writeFileSync(stampFile(root), lockHash(root));
}

/**
 * @param {string} root
 * @param {{ env: NodeJS.ProcessEnv, logFile: string, arch: string }} context
 */
async function npmCiByPinnedNode(root, { env, logFile, arch }) {
  // npm ci empties node_modules first, so the Node that runs it must be elsewhere.
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-node-'));
  try {
    const node = join(folder, 'node');
    copyFileSync(pinnedNode(root, arch), node);
    await npmCi(root, { env: { ...env, PATH: `${folder}:${env['PATH'] ?? ''}` }, logFile, node });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} root
 * @param {{ env: NodeJS.ProcessEnv, logFile: string, node: string }} context `node` runs npm
 */
async function npmCi(root, { env, logFile, node }) {
  const argv = /** @type {const} */ ([...npmCommand(env, node), 'ci', '--no-audit', '--no-fund']);
  const { code, lastLines } = await runLogged(argv, { cwd: root, env, logFile });
  if (code !== 0) throw explainFailure(REASONS, { sentence: 'npm ci failed.', evidence: lastLines, logFile });
}

/**
 * npm passes its own path to the scripts it runs. Outside of one, PATH decides, for npm and for the Node that it runs
 * on.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} node
 * @returns {[string, ...string[]]}
 */
export function npmCommand(env, node) {
  const self = env['npm_execpath'];
  if (self && existsSync(self)) return [node, self];
  if (isInstalled('npm', env['PATH'] ?? '')) return ['npm'];
  throw new PrepareError('ORK_PREPARE_FAILED', 'npm was not found.', { mend: 'Start this as `npm start`.' });
}
