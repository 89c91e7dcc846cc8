/** How a Node.js app runs: its framework, and either its server's start command or the files of its build. */
import { procfileWeb } from '../procfile.ts';
import { firstFile } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { withoutComments } from './framework.ts';
import type { ConfigFile, Framework, StaticOutput } from './framework.ts';
import { FRAMEWORKS } from './frameworks.ts';
import { lists, resolveScript } from './package-json.ts';
import type { PackageJson } from './package-json.ts';
import { developmentNotices, developmentServer, withoutWatcher, withoutWatcherNotice } from './production-start.ts';
import { bundled } from './bundled.ts';

/** Files that start an app if nothing else says how. */
export const ENTRY_FILES = [
  'server.js',
  'index.js',
  'app.js',
  'main.js',
  'server.mjs',
  'index.mjs',
  'src/index.js',
  'src/server.js',
];
/** The same for Bun, which runs TypeScript. */
const BUN_ENTRY_FILES = ['index.ts', 'server.ts', 'src/index.ts', 'src/server.ts'];

/** Scripts that start every member of a workspace at once. */
const MONOREPO_START = /^(?:turbo|nx|lerna|npm-run-all|concurrently)\b|\b(?:--workspaces|--parallel|-r run)\b/;

/** `chosen`: stated by the repository itself rather than a default. */
export interface Start {
  readonly command: string;
  readonly from: string;
  readonly chosen: boolean;
}

export interface Running {
  readonly framework: Framework | undefined;
  /** The framework's configuration file. */
  readonly config: ConfigFile;
  readonly output: StaticOutput | null;
  readonly start: Start | null;
  /** What was done about a start line for development. */
  readonly notices: readonly string[];
}

const NO_CONFIG: ConfigFile = { path: '', text: '' };

/** The framework, and how it runs in production. */
export async function howItRuns(repository: RepositoryView, manifest: PackageJson, bun: boolean): Promise<Running> {
  const found = await frameworkAndStart(repository, manifest, bun);
  const { start, output } = found;
  if (start?.chosen === true) return { ...found, ...(await inProduction(repository, manifest, start)) };
  return start === null && output === null ? { ...found, ...(await instead(repository, manifest, found)) } : found;
}

/** A chosen start command, without its watcher if that can be removed. */
async function inProduction(
  repository: RepositoryView,
  manifest: PackageJson,
  start: Start,
): Promise<Pick<Running, 'start' | 'notices'>> {
  // nodemon's own configuration may make it run something else.
  const isHidden =
    /\bnodemon\b/.test(start.command) && ('nodemonConfig' in manifest || (await repository.has('nodemon.json')));
  const command = isHidden ? null : withoutWatcher(start.command);
  const only = await onlyTypeScript(repository, command ?? start.command);
  const built = only === null ? [] : [`${start.from} ${only}`];
  if (command === null) return { start, notices: [...developmentNotices(start), ...built] };
  const plain = { ...start, command };
  return { start: plain, notices: [withoutWatcherNotice(start.from, command), ...developmentNotices(plain), ...built] };
}

/** The problem with a line that runs `server.js` if the repository has only `server.ts`; null if there is none. */
async function onlyTypeScript(repository: RepositoryView, command: string): Promise<string | null> {
  const file = /^(?:\S+=\S* +)*node +(?:-\S+ +)*(?:\.\/)?([\w@-][\w@./-]*\.[cm]?)js(?=\s|$)/.exec(command)?.[1];
  if (file === undefined || file.includes('..') || (await repository.has(`${file}js`))) return null;
  if (!(await repository.has(`${file}ts`))) return null;
  return `runs ${file}js, but the repository has ${file}ts. Unless the build writes ${file}js, set startCommand to run the file that it writes.`;
}

/** If only a development server would start it: the files of its build, or why there is nothing to run. */
async function instead(
  repository: RepositoryView,
  manifest: PackageJson,
  { framework }: Running,
): Promise<Partial<Running>> {
  const script = resolveScript(manifest, 'start');
  const kind = script === null ? null : developmentServer(script.line);
  if (script === null || kind === null) return {};
  const from = `package.json scripts.${script.name} is a development server`;
  if (kind === 'bundler' && framework === undefined && Object.hasOwn(manifest.scripts, 'build')) {
    const { config, output } = await bundled(repository, manifest);
    const notice = `${from}, so orkestr serves the files that the build writes to ${output.folder}. If it writes them elsewhere, set outputDirectory. To run a server, set startCommand.`;
    return { config, output, notices: [notice] };
  }
  return { notices: [`${from}: set startCommand, or buildCommand and outputDirectory, in orkestr.json`] };
}

async function frameworkAndStart(repository: RepositoryView, manifest: PackageJson, bun: boolean): Promise<Running> {
  for (const framework of FRAMEWORKS) {
    if (!lists(manifest, ...framework.packages)) continue;
    const config = withoutComments((await firstFile(repository, framework.config ?? [])) ?? NO_CONFIG);
    const start = await startOf(repository, manifest, { framework, config, bun });
    const output = framework.output?.(manifest, config) ?? null;
    if (output === null) return { framework, config, output, start, notices: [] };
    // A start command of the repository wins over the files: then this framework is only its build tool.
    if (start?.chosen !== true) return { framework, config, output, start: null, notices: [] };
  }
  const start = await startOf(repository, manifest, { bun });
  return { framework: undefined, config: NO_CONFIG, output: null, start, notices: [] };
}

/** From the repository's own statements, then the framework's default, then a file with a typical name. */
async function startOf(
  repository: RepositoryView,
  manifest: PackageJson,
  known: { readonly framework?: Framework; readonly config?: ConfigFile; readonly bun: boolean },
): Promise<Start | null> {
  const { framework, config = NO_CONFIG } = known;
  const web = await procfileWeb(repository);
  if (web !== null) return { command: web, from: 'Procfile', chosen: true };
  const script = scriptStart(manifest, framework, config);
  if (script !== null) return script;
  const standard = typeof framework?.start === 'function' ? framework.start(manifest, config) : framework?.start;
  if (framework !== undefined && standard) {
    return { command: standard, from: `${framework.name} default`, chosen: false };
  }
  // Next to a development server, such a file is usually a source that it bundles.
  const said = resolveScript(manifest, 'start');
  if (said !== null && developmentServer(said.line) !== null) return null;
  return entryStart(repository, manifest, known.bun);
}

function scriptStart(manifest: PackageJson, framework: Framework | undefined, config: ConfigFile): Start | null {
  const { development } = framework ?? {};
  const never = typeof development === 'function' ? development(config) : development;
  for (const name of [...(framework?.startScripts ?? []), 'start']) {
    const script = resolveScript(manifest, name);
    if (script === null || never?.test(script.line) === true) continue;
    if (MONOREPO_START.test(script.line) || developmentServer(script.line) !== null) continue;
    // The line itself rather than `npm run`: npm and its shell do not pass SIGTERM on. So the pre-script is added here.
    const before = manifest.scripts[`pre${script.name}`]?.trim();
    const command = before ? `${/[;&|]/.test(before) ? `{ ${before}; }` : before} && ${script.line}` : script.line;
    return { command, from: `package.json scripts.${script.name}`, chosen: true };
  }
  return null;
}

async function entryStart(repository: RepositoryView, { main }: PackageJson, bun: boolean): Promise<Start | null> {
  const usual = bun ? [...BUN_ENTRY_FILES, ...ENTRY_FILES] : ENTRY_FILES;
  for (const file of main === undefined ? usual : [main, ...usual]) {
    const path = file.replace(/^\.\//, '');
    if (!/^[A-Za-z0-9_@][A-Za-z0-9._/@-]*$/.test(path) || !(await repository.has(path))) continue;
    const program = bun && path.endsWith('.ts') ? 'bun' : 'node';
    return { command: `${program} ${path}`, from: file === main ? 'package.json main' : path, chosen: false };
  }
  return null;
}
