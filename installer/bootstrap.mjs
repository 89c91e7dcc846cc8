// @ts-check
/**
 * Entry point of `npm start`, `npm test` and the other scripts: prepares the machine, its Debian packages and
 * node_modules, then continues under the pinned Node. Plain JavaScript for any Node >= 18 without dependencies, since
 * nothing is installed yet. The scripts call it themselves because ignore-scripts disables npm's pre-scripts. Skips
 * what is already done.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { groupsOf, installPackages, missingPackages, readPackages } from './prepare/debian.mjs';
import { installDependencies, isInstalledAsLocked, pinnedNode } from './prepare/dependencies.mjs';
import { handOver } from './prepare/hand-over.mjs';
import { checkMachine, readMachine } from './prepare/machine.mjs';
import { makeProgress, PrepareError } from './prepare/progress.mjs';
import { completePath } from './prepare/programs.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The machine's CA bundle: npm and Node trust what the machine trusts, e.g. a company's own CA. */
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

/**
 * What each npm script needs and which program it runs. `quietly`: the packages' daemons are not started.
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
  // Help needs only the pinned Node.
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
 * `run FILE ARGS`: benches, fuzzers and other tools. Progress goes to stderr because other programs read the tool's
 * output.
 *
 * @param {string[]} argv
 * @returns {[Command, string[]]}
 */
function readRun([file = '', ...args]) {
  if (!existsSync(join(ROOT, file)) || !/\.[mt]?[jt]s$/.test(file)) throw new PrepareError('ORK_PREPARE_FAILED', USAGE);
  const packages = groupsOf(file, args);
  return [{ script: file, args: [], root: false, packages, quietly: true, progress: process.stderr }, args];
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
      // The packages just installed may include the bundle.
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
  // `--once` promises one JSON object, even if the start fails.
  if (process.argv.includes('--once')) {
    console.log(JSON.stringify({ ok: false, error: { code: error.code, message: error.message } }));
  }
  return 1;
}

process.exitCode = await main(process.argv.slice(2)).catch(explain);
