// @ts-check
/**
 * What `npm start`, `npm test` and the other scripts run first: makes sure of the machine, its Debian packages and
 * node_modules, then goes on under the pinned Node. Plain JavaScript for any Node >= 18 without dependencies, since
 * nothing is installed yet; called by the script itself, because ignore-scripts keeps npm from running pre-scripts.
 * Does nothing that is done.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages, missingPackages, readPackages } from './prepare/debian.mjs';
import { installDependencies, isInstalledAsLocked, pinnedNode } from './prepare/dependencies.mjs';
import { handOver } from './prepare/hand-over.mjs';
import { checkMachine, readMachine } from './prepare/machine.mjs';
import { makeProgress, PrepareError } from './prepare/progress.mjs';
import { completePath } from './prepare/programs.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The CA bundle of the machine: npm and Node trust what the machine trusts, e.g. a company's own CA. */
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

/**
 * What each npm script needs and where it goes on. `quietly`: the packages' daemons stay stopped.
 *
 * @typedef {{ script: string, args: string[], root: boolean, packages: string[] }} Named
 * @typedef {Named & { quietly: boolean, progress: NodeJS.WriteStream }} Command
 * @type {Record<string, Named>}
 */
const COMMANDS = {
  start: { script: 'installer/start/main.ts', args: [], root: true, packages: ['start'] },
  test: { script: 'test/run.ts', args: [], root: true, packages: ['start', 'test'] },
  check: { script: 'test/run.ts', args: ['check'], root: false, packages: [] },
};

const USAGE = `Usage: bootstrap.mjs ${Object.keys(COMMANDS).join('|')}|run FILE`;

/** @param {string[]} argv */
async function main([name = '', ...rest]) {
  const [command, args] = name === 'run' ? readRun(rest) : [namedCommand(name), rest];
  const env = makeEnv();
  // Help needs the pinned Node alone.
  if (!args.includes('--help') || !existsSync(pinnedNode(ROOT, process.arch))) await prepare(command, env);
  return handOver([pinnedNode(ROOT, process.arch), join(ROOT, command.script), ...command.args, ...args], env);
}

/**
 * @param {string} name
 * @returns {Command}
 */
function namedCommand(name) {
  const command = COMMANDS[name];
  if (!command) throw new PrepareError('ORK_PREPARE_FAILED', USAGE);
  return { ...command, quietly: false, progress: process.stdout };
}

/**
 * `run FILE ARGS`: benches, fuzzers and other tools. The Debian packages of FILE stand in packages.json under its path.
 * Progress goes to stderr, because what such a tool prints is read by other programs.
 *
 * @param {string[]} argv
 * @returns {[Command, string[]]}
 */
function readRun([file = '', ...args]) {
  if (!existsSync(join(ROOT, file)) || !/\.[mt]?[jt]s$/.test(file)) throw new PrepareError('ORK_PREPARE_FAILED', USAGE);
  return [{ script: file, args: [], root: false, packages: [file], quietly: true, progress: process.stderr }, args];
}

/**
 * @param {Command} command
 * @param {NodeJS.ProcessEnv} env
 */
async function prepare(command, env) {
  const progress = makeProgress(command.progress);
  const logs = join(ROOT, '.orkestr', 'logs');
  /** @param {string} name */
  const logFile = (name) => {
    mkdirSync(logs, { recursive: true, mode: 0o700 });
    return join(logs, name);
  };
  const machine = readMachine();
  await progress.stage('machine', () => checkMachine(machine, command));
  const missing = missingPackages(readPackages(command.packages), env['PATH'] ?? '');
  if (missing.length > 0) {
    if (machine.uid !== 0) {
      const sentence = `Missing on this machine, and only root can install it: ${missing.join(', ')}.`;
      throw new PrepareError('ORK_PREPARE_FAILED', sentence, { mend: 'Run this once as root.' });
    }
    await progress.stage('Debian packages', async (say) => {
      const { quietly } = command;
      await installPackages(missing, { env, logFile: logFile('apt.log'), say, quietly });
      // The bundle may be one of the things that were just installed.
      Object.assign(env, trustMachine(env));
      return missing.join(' ');
    });
  }
  if (!isInstalledAsLocked(ROOT, process.arch)) {
    await progress.stage('npm packages', async (say) => {
      say('npm ci');
      await installDependencies(ROOT, { env, logFile: logFile('npm.log'), arch: process.arch });
      return 'as package-lock.json says';
    });
  }
}

/** @returns {NodeJS.ProcessEnv} */
function makeEnv() {
  const env = { ...process.env, PATH: completePath(process.env['PATH']) };
  return { ...env, ...trustMachine(env) };
}

/** @param {NodeJS.ProcessEnv} env */
const trustMachine = (env) =>
  !env['NODE_EXTRA_CA_CERTS'] && existsSync(CA_BUNDLE) ? { NODE_EXTRA_CA_CERTS: CA_BUNDLE } : {};

/** @param {unknown} error */
function explain(error) {
  if (!(error instanceof PrepareError)) throw error;
  for (const line of error.evidence) console.error(`  | ${line}`);
  console.error(`${error.code}: ${error.message}`);
  if (error.mend) console.error(`  ${error.mend}`);
  // Whoever asked for one JSON object gets it, also when it did not come to the start.
  if (process.argv.includes('--once')) {
    console.log(JSON.stringify({ ok: false, error: { code: error.code, message: error.message } }));
  }
  return 1;
}

process.exitCode = await main(process.argv.slice(2)).catch(explain);
