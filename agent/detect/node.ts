/** Detector: Node.js, by package.json. */
import type { Evidence } from '../../protocol/steps.ts';
import type { DetectRequest, Detector, Facts, Finding, Miss } from './detector.ts';
import { writeNode } from './dockerfiles/node.ts';
import type { NodeRecipe } from './dockerfiles/node.ts';
import { STATIC_PORT } from './dockerfiles/static.ts';
import { FRAMEWORKS } from './node-frameworks.ts';
import type { Framework, StaticOutput } from './node-frameworks.ts';
import { lists, readPackageJson, resolveScript } from './package-json.ts';
import type { PackageJson } from './package-json.ts';
import { choosePackageManager, MANAGERS } from './package-manager.ts';
import type { ChosenManager } from './package-manager.ts';
import { procfileWeb } from './procfile.ts';
import type { RepositoryView } from './repository.ts';
import { admits, imageVersion } from './versions.ts';

/** Files that start an app when nothing else says how. */
const ENTRY_FILES = [
  'server.js',
  'index.js',
  'app.js',
  'main.js',
  'server.mjs',
  'index.mjs',
  'src/index.js',
  'src/server.js',
];

/** Scripts that npm runs by itself during an install: they may need any file of the repository. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare'];

interface Command {
  readonly command: string;
  readonly from: string;
}

/** `chosen`: the repository says so itself, it is not a default of ours. */
type Start = Command & { readonly chosen: boolean };

export const node: Detector = {
  name: 'node',
  markers: ['package.json'],

  async detect(request): Promise<Finding | Miss> {
    const { repository } = request;
    const manifest = await readPackageJson(repository);
    if (manifest === null) return { missed: 'no package.json' };
    const { framework, output, start } = await howItRuns(repository, manifest);
    if (start === null && output === null) {
      return {
        missed: `package.json has no start script, no main file that is there, and none of ${ENTRY_FILES.join(', ')}`,
      };
    }
    const manager = await choosePackageManager(repository, manifest);
    const build = buildOf(manifest, manager.name, framework);
    const recipe = await recipeOf(repository, manifest, { manager, output, start, env: framework?.env ?? {} });
    const facts: Facts = {
      framework: framework?.name ?? 'Node.js',
      // What runs in the end: files are served by the static image.
      runtime: output === null ? 'node' : 'static',
      ...portOf(output, start),
      ...(recipe.install && { installCommand: recipe.install }),
      ...(build && { buildCommand: build.command }),
      ...(start && { startCommand: start.command }),
    };
    return {
      facts,
      evidence: evidenceOf(facts, { manifest, framework, output, start, build, manager: manager.evidence, recipe }),
      warnings: warningsOf(manifest, { framework, manager, recipe }, request),
      dockerfile: { origin: 'generated', write: (final, surroundings) => writeNode(recipe, final, surroundings) },
    };
  },
};

/** The framework, and either how its server starts or what files its build leaves. */
async function howItRuns(
  repository: RepositoryView,
  manifest: PackageJson,
): Promise<{ framework: Framework | undefined; output: StaticOutput | null; start: Start | null }> {
  for (const framework of FRAMEWORKS) {
    if (!lists(manifest, ...framework.packages)) continue;
    const start = await startOf(repository, manifest, framework);
    const config = await firstText(repository, framework.config ?? []);
    const output = framework.output?.(manifest, config) ?? null;
    if (output === null) return { framework, output, start };
    // A start command that the repository itself gives wins over the files: then this framework is only its build tool.
    if (start?.chosen !== true) return { framework, output, start: null };
  }
  return { framework: undefined, output: null, start: await startOf(repository, manifest, undefined) };
}

/** What the repository says itself, then the framework's default, then a file that looks like it. */
async function startOf(
  repository: RepositoryView,
  manifest: PackageJson,
  framework: Framework | undefined,
): Promise<Start | null> {
  const web = await procfileWeb(repository);
  if (web !== null) return { command: web, from: 'Procfile', chosen: true };
  const script = scriptStart(manifest, framework);
  if (script !== null) return script;
  if (framework?.start !== undefined) {
    return { command: framework.start, from: `${framework.name} default`, chosen: false };
  }
  return entryStart(repository, manifest);
}

function scriptStart(manifest: PackageJson, framework: Framework | undefined): Start | null {
  for (const name of [...(framework?.startScripts ?? []), 'start']) {
    const script = resolveScript(manifest, name);
    if (script === null || framework?.development?.test(script.line) === true) continue;
    // The line itself, not `npm run`: npm and its shell keep SIGTERM from the app. So what npm would run before comes along.
    const before = manifest.scripts[`pre${script.name}`]?.trim();
    const command = before ? `${/[;&|]/.test(before) ? `{ ${before}; }` : before} && ${script.line}` : script.line;
    return { command, from: `package.json scripts.${script.name}`, chosen: true };
  }
  return null;
}

async function entryStart(repository: RepositoryView, { main }: PackageJson): Promise<Start | null> {
  for (const file of main === undefined ? ENTRY_FILES : [main, ...ENTRY_FILES]) {
    const path = file.replace(/^\.\//, '');
    if (!/^[A-Za-z0-9_@][A-Za-z0-9._/@-]*$/.test(path) || !(await repository.has(path))) continue;
    return { command: `node ${path}`, from: file === main ? 'package.json main' : path, chosen: false };
  }
  return null;
}

async function firstText(repository: RepositoryView, paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const text = await repository.text(path);
    if (text !== null) return text;
  }
  return '';
}

function buildOf(
  manifest: PackageJson,
  manager: keyof typeof MANAGERS,
  framework: Framework | undefined,
): Command | null {
  if (Object.hasOwn(manifest.scripts, 'build')) {
    return { command: `${MANAGERS[manager].run} build`, from: 'package.json scripts.build' };
  }
  return framework?.build === undefined ? null : { command: framework.build, from: `${framework.name} default` };
}

/** A port that the start command itself fixes; files are served at the port of the generated nginx. */
function portOf(output: StaticOutput | null, start: Start | null): Pick<Facts, 'port'> {
  if (output !== null) return { port: STATIC_PORT };
  const written = /(?:^|\s)(?:PORT=|--port[= ]|(?:next start|serve)\b.*\s-p[= ]?)(\d{2,5})(?!\S)/.exec(
    start?.command ?? '',
  );
  const port = Number(written?.[1]);
  return port >= 1 && port <= 65_535 ? { port } : {};
}

interface RecipeParts {
  readonly manager: NodeRecipe['manager'];
  readonly output: StaticOutput | null;
  readonly start: Start | null;
  readonly env: Readonly<Record<string, string>>;
}

async function recipeOf(repository: RepositoryView, manifest: PackageJson, parts: RecipeParts): Promise<NodeRecipe> {
  const { manager } = parts;
  const { install, installWithoutLock } = MANAGERS[manager.name];
  const installs = INSTALL_SCRIPTS.filter((name) => Object.hasOwn(manifest.scripts, name));
  const dependencies = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  const nothing = Object.keys(dependencies).length === 0 && installs.length === 0 && manifest.workspaces === undefined;
  const [program = ''] = (parts.start?.command ?? '').split(/\s+/);
  return {
    manager,
    install: nothing ? null : manager.lockfile === null ? installWithoutLock : install,
    manifests: await manifestsOf(repository, manager.lockfile),
    sourcesFirst: await whySourcesFirst(repository, manifest, installs, dependencies),
    installScripts: installs.length > 0,
    developmentProgram: Object.hasOwn(manifest.devDependencies, program) ? program : null,
    output: parts.output,
    env: parts.env,
  };
}

async function manifestsOf(repository: RepositoryView, lockfile: string | null): Promise<string[]> {
  const found = ['package.json', ...(lockfile === null ? [] : [lockfile])];
  for (const path of ['.npmrc', '.yarnrc', '.yarnrc.yml']) if (await repository.has(path)) found.push(path);
  return found;
}

/** Why the install needs more than the manifests, or null. */
async function whySourcesFirst(
  repository: RepositoryView,
  manifest: PackageJson,
  installs: readonly string[],
  dependencies: Readonly<Record<string, string>>,
): Promise<string | null> {
  if (installs.length > 0) return `scripts.${installs[0]} may need any file`;
  if (manifest.workspaces !== undefined || (await repository.has('pnpm-workspace.yaml'))) {
    return 'the manifests of all workspaces are needed';
  }
  if (Object.values(dependencies).some((range) => /^(?:file|link|portal|patch):/.test(range))) {
    return 'a dependency is a folder of the repository';
  }
  const folders = await repository.entries('.');
  return folders.includes('.yarn/') || folders.includes('patches/') ? 'the package manager has files of its own' : null;
}

interface Told {
  readonly manifest: PackageJson;
  readonly framework: Framework | undefined;
  readonly output: StaticOutput | null;
  readonly start: Start | null;
  readonly build: Command | null;
  readonly manager: Evidence;
  readonly recipe: NodeRecipe;
}

function evidenceOf(facts: Facts, told: Told): Evidence[] {
  const { manifest, framework, output, start, build, manager, recipe } = told;
  const by = framework?.packages.find((name) => lists(manifest, name));
  const evidence: Evidence[] = [
    {
      subject: 'framework',
      value: facts.framework,
      from: by === undefined ? 'package.json' : `package.json lists ${by}`,
    },
    {
      subject: 'runtime',
      value: output === null ? 'Node.js' : 'nginx',
      from: output === null ? 'package.json' : `${facts.framework} build`,
    },
  ];
  if (manifest.engines.node !== undefined) {
    evidence.push({ subject: 'version', value: manifest.engines.node, from: 'package.json engines.node' });
  }
  if (recipe.install !== null) {
    evidence.push(manager, {
      subject: 'install',
      value: recipe.install,
      from: recipe.manager.lockfile ?? 'package.json',
    });
  }
  if (build !== null) evidence.push({ subject: 'build', value: build.command, from: build.from });
  if (start !== null) evidence.push({ subject: 'start', value: start.command, from: start.from });
  if (output !== null) evidence.push({ subject: 'output', value: output.folder, from: `${facts.framework} build` });
  if (facts.port !== undefined) {
    const from = output === null ? (start?.from ?? 'start command') : 'generated nginx configuration';
    evidence.push({ subject: 'port', value: String(facts.port), from });
  }
  return evidence;
}

function warningsOf(
  manifest: PackageJson,
  { framework, manager, recipe }: { framework: Framework | undefined; manager: ChosenManager; recipe: NodeRecipe },
  { baseImages }: DetectRequest,
): string[] {
  const warnings = recipe.install === null ? [] : [...manager.warnings];
  const wanted = manifest.engines.node;
  const have = imageVersion(baseImages.node);
  if (wanted !== undefined && have !== null && !admits(wanted, have)) {
    warnings.push(
      `package.json asks for Node.js ${wanted.slice(0, 60)}, but the base image ${baseImages.node} has ${have}.`,
    );
  }
  if (recipe.developmentProgram !== null) {
    const { developmentProgram } = recipe;
    warnings.push(
      `The start command needs ${developmentProgram}, a development dependency: all of them stay in the image.`,
    );
  }
  const own = framework?.warning?.(manifest);
  return own ? [...warnings, own] : warnings;
}
