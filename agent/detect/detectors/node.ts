/** Detector: Node.js, by package.json. */
import { posix } from 'node:path';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { PublicPrefix } from '../../../protocol/public-variables.ts';
import type { Confidence, Evidence } from '../../../protocol/steps.ts';
import { withoutRelease } from '../base-images.ts';
import type { DetectRequest, Detector, Facts, DetectedApp, Miss } from '../detector.ts';
import { versionFact } from '../evidence.ts';
import { writeNode } from '../dockerfiles/node.ts';
import type { NodeRecipe } from '../dockerfiles/node.ts';
import { STATIC_PORT } from '../dockerfiles/static.ts';
import { findApp } from '../node/app.ts';
import type { NodeApp } from '../node/app.ts';
import { FRAMEWORKS } from '../node/frameworks.ts';
import { buildOf, recipeOf } from '../node/install.ts';
import type { Command } from '../node/install.ts';
import { devEngine, lists } from '../node/package-json.ts';
import { choosePackageManager } from '../node/package-manager.ts';
import type { ChosenManager } from '../node/package-manager.ts';
import { ENTRY_FILES } from '../node/start.ts';
import type { Running, Start } from '../node/start.ts';
import { servedAtWarning } from '../node/served-at.ts';
import { chooseRuntime, toolVersions, versionFile } from '../runtime.ts';
import type { ChosenRuntime, Runtime } from '../runtime.ts';

/** Code names of the LTS lines, as used by nvm. */
const CODE_NAMES: Readonly<Record<string, string>> = {
  hydrogen: '18',
  iron: '20',
  jod: '22',
  krypton: '24',
  lithium: '26',
};

const nvmrc = versionFile('.nvmrc');

export const RUNTIME: Runtime = {
  name: 'Node.js',
  kind: 'node',
  digits: 1,
  lines: ['26', '24', '22', '20', '18'],
  supported: ['26', '24', '22'],
  makeable: ['26', '24', '22'],
  standing: 'the current LTS',
  files: [
    {
      ...nvmrc,
      read: (text) => {
        const said = nvmrc.read(text);
        return CODE_NAMES[/^lts\/(\w+)/i.exec(said ?? '')?.[1]?.toLowerCase() ?? ''] ?? said;
      },
    },
    versionFile('.node-version'),
    ...toolVersions('nodejs', 'node'),
  ],
};

export const node: Detector = {
  name: 'node',
  frameworks: ['Node.js', ...FRAMEWORKS.map(({ name }) => name)],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const app = await findApp(request);
    if (app === null) return { missed: `no package.json${(await isOfNx(request)) ? `; ${NX_MEND}` : ''}` };
    const running = statedRunning(app.running, request);
    refuseUnfit(app, running, request);
    if (request.stated.outputDirectory === undefined && (await isRootOfNx(app, running))) return { missed: NX_MEND };
    const outside = outsideBuild(app, running);
    if (outside !== null) return { missed: outside };
    if (running.start === null && running.output === null) {
      return { missed: await whyNot(app) };
    }
    const manager = await choosePackageManager(app.root, app.rootManifest);
    const build = await buildOf(app, manager.name);
    const runtime = await nodeVersion(request, app);
    const recipe = await recipeOf(app, running, { manager, image: runtime.image });
    const told: Told = { app, running, build, manager, recipe, runtime };
    const facts = factsOf(told);
    return {
      confidence: confidenceOf(running),
      facts,
      evidence: evidenceOf(facts, told),
      warnings: warningsOf(told),
      needs: running.framework?.needs ?? [],
      context: app.context,
      publicPrefixes: publicPrefixesOf(app.manifest),
      dockerfile: { origin: 'generated', write: (final) => writeNode(recipe, final) },
    };
  },
};

/** Rejects a build that cannot run here, rather than let it fail later. @throws OrkestrError ORK_MANIFEST_INVALID */
function refuseUnfit({ manifest }: NodeApp, { framework, config, start }: Running, { stated }: DetectRequest): void {
  if (start?.chosen === true || stated.outputDirectory !== undefined) return;
  const why = framework?.unfit?.(manifest, config) ?? null;
  if (why !== null) throw new OrkestrError('ORK_MANIFEST_INVALID', why);
}

/** Nx describes projects in files of its plugins, each in its own format. */
const NX_MEND =
  'for a project of Nx without a package.json, keep the folder of nx.json as the root directory, and set buildCommand (for example "nx build web") and outputDirectory or startCommand in orkestr.json';

const isOfNx = async ({ checkout }: DetectRequest): Promise<boolean> =>
  checkout.rootDirectory !== '.' && checkout.repository.has('nx.json');

/** An Nx root lists the tools of all projects, but has no page of its own. */
async function isRootOfNx({ root, folder }: NodeApp, { framework, output }: Running): Promise<boolean> {
  const bundled = output !== null && framework?.bundler === true && folder === '.';
  return bundled && (await root.has('nx.json')) && !(await root.has('index.html'));
}

/** Such a build may serve another runtime's assets; if no other detector matches, this is the reason. */
function outsideBuild({ folder }: NodeApp, { config, output }: Running): string | null {
  if (output === null || !posix.join(folder, output.folder).startsWith('..')) return null;
  return `${config.path || 'the build script'} writes the build to ${output.folder}, outside the build context: write it inside, or set the root directory further up`;
}

async function whyNot({ workspace, root, running: { notices } }: NodeApp): Promise<string> {
  if (notices.length > 0) return notices.join('; ');
  const reasons = [`no start script in package.json, no existing main file, and none of ${ENTRY_FILES.join(', ')}`];
  if (workspace !== null) reasons.push(`no app among the ${workspace.members.length} members of its workspace`);
  else if (await root.has('nx.json')) reasons.push(NX_MEND);
  return reasons.join('; ');
}

interface Told {
  readonly app: NodeApp;
  readonly running: Running;
  readonly build: Command | null;
  readonly manager: ChosenManager;
  readonly recipe: NodeRecipe;
  readonly runtime: ChosenRuntime;
}

/** A stated start command replaces the detected one, and a stated output folder makes it a site. */
function statedRunning(found: Running, { stated: { startCommand, outputDirectory } }: DetectRequest): Running {
  if (startCommand !== undefined) {
    return { ...found, start: { command: startCommand.value, from: startCommand.from, chosen: true }, notices: [] };
  }
  if (outputDirectory === undefined) return found;
  const output = { singlePage: false, ...found.output, folder: outputDirectory.value };
  return { ...found, start: null, output, notices: [] };
}

/** Version files of the app, then of the workspace, then the manifest. */
async function nodeVersion(request: DetectRequest, app: NodeApp): Promise<ChosenRuntime> {
  const wanted = app.manifest.engines.node ?? app.rootManifest.engines.node;
  const developed = devEngine(app.manifest, 'runtime', 'node') ?? devEngine(app.rootManifest, 'runtime', 'node');
  const pinned = app.manifest.volta.node ?? app.rootManifest.volta.node;
  const said =
    pinned === undefined
      ? wanted
        ? { value: wanted.slice(0, 60), from: 'package.json engines.node' }
        : developed && { value: developed.slice(0, 60), from: 'package.json devEngines.runtime' }
      : { value: pinned.slice(0, 60), from: 'package.json volta.node' };
  const files = app.folder === '.' ? [app.root] : [app.repository, app.root];
  const chosen = await chooseRuntime(request, files, RUNTIME, said || null);
  const isHosts = chosen.image === request.surroundings.baseImages.node;
  return isHosts || isOnTrixie(chosen) ? chosen : { ...chosen, image: withoutRelease(chosen.image) };
}

/** Lines that ended before Debian 13 have no official image with its name, but `node:18-slim` on an older release. */
const isOnTrixie = ({ version }: ChosenRuntime): boolean => Number(version) >= 20 && !['21', '23'].includes(version);

/** From all listed frameworks: a server may have its pages built by another one. */
const publicPrefixesOf = (manifest: NodeApp['manifest']): PublicPrefix[] => [
  ...new Set(
    FRAMEWORKS.flatMap(({ packages, publicPrefixes = [] }) => (lists(manifest, ...packages) ? publicPrefixes : [])),
  ),
];

/** Tools that build and watch assets: an app in another language often runs them through `npm start`. */
const WATCHER =
  /^(?:npx )?(?:tailwindcss|@tailwindcss\/cli|postcss|webpack|vite|parcel|gulp|grunt|sass|esbuild|rollup|browser-sync|live-server)\b/;

function confidenceOf({ framework, output, start }: Running): Confidence {
  if (framework === undefined && WATCHER.test(start?.command ?? '')) return 'likely';
  if (output !== null) return framework === undefined || framework.bundler === true ? 'likely' : 'certain';
  return start?.chosen === true || framework?.start !== undefined ? 'certain' : 'likely';
}

function factsOf({ running, build, recipe, runtime }: Told): Facts {
  const { framework, output, start } = running;
  const port = portOf(running);
  return {
    framework: framework?.name ?? 'Node.js',
    // The final runtime: files are served by the static image.
    runtime: output !== null && start?.chosen !== true ? 'static' : 'node',
    ...versionFact(runtime),
    ...(port && { port: port.value }),
    ...(recipe.install && { installCommand: recipe.install }),
    ...(build && { buildCommand: build.command }),
    ...(start && { startCommand: start.command }),
    ...(output && start?.chosen !== true && { outputDirectory: output.folder }),
  };
}

/** The port of the generated nginx for files; else one set by the start command, else the framework's default. */
function portOf({ framework, output, start }: Running): { value: number; from: string } | null {
  if (output !== null && start?.chosen !== true) return { value: STATIC_PORT, from: 'generated nginx configuration' };
  const written = writtenPort(start);
  if (written !== null) return { value: written, from: start?.from ?? 'start command' };
  return framework?.port === undefined ? null : { value: framework.port, from: `${framework.name} default` };
}

function writtenPort(start: Start | null): number | null {
  const written = /(?:^|\s)(?:PORT=|--port[= ]|(?:next start|serve)\b.*\s-p[= ]?)(\d{2,5})(?!\S)/.exec(
    start?.command ?? '',
  );
  const port = Number(written?.[1]);
  return port >= 1 && port <= 65_535 ? port : null;
}

function evidenceOf(facts: Facts, { app, running, build, manager, recipe, runtime }: Told): Evidence[] {
  const { framework, start } = running;
  const by = framework?.packages.find((name) => lists(app.manifest, name));
  const isStatic = facts.runtime === 'static';
  const port = portOf(running);
  const evidence: Evidence[] = [
    {
      subject: 'framework',
      value: facts.framework,
      from: by === undefined ? 'package.json' : `package.json lists ${by}`,
    },
    {
      subject: 'runtime',
      value: isStatic ? 'nginx' : 'Node.js',
      from: isStatic ? `${facts.framework} build` : 'package.json',
    },
    runtime.evidence,
  ];
  if (app.folder !== '.')
    evidence.push({
      subject: 'app',
      value: app.folder,
      from: `workspace of ${app.context === '.' ? 'the repository' : app.context}`,
    });
  if (recipe.install !== null) {
    evidence.push(manager.evidence, {
      subject: 'install',
      value: recipe.install,
      from: recipe.manager.lockfile ?? 'package.json',
    });
  }
  if (build !== null) evidence.push({ subject: 'build', value: build.command, from: build.from });
  if (start !== null) evidence.push({ subject: 'start', value: start.command, from: start.from });
  if (facts.outputDirectory !== undefined) {
    evidence.push({ subject: 'output', value: facts.outputDirectory, from: `${facts.framework} build` });
  }
  if (port !== null) evidence.push({ subject: 'port', value: String(port.value), from: port.from });
  return evidence;
}

function warningsOf({ app, running, manager, recipe, runtime }: Told): string[] {
  const own = running.framework?.warning?.(app.manifest, running.config);
  return [
    ...app.warnings,
    ...(recipe.install === null ? [] : manager.warnings),
    ...runtime.warnings,
    ...running.notices,
    ...(running.output === null ? [] : servedAtWarning(running.framework, app.manifest, running.config)),
    ...developmentWarning(app, manager, recipe),
    ...(own ? [own] : []),
  ];
}

function developmentWarning(app: NodeApp, { prunes }: ChosenManager, recipe: NodeRecipe): string[] {
  const { whyKept, output } = recipe;
  if (output !== null) return [];
  if (whyKept !== null) return [`All development dependencies stay in the image: ${whyKept}.`];
  const has = [app.manifest, app.rootManifest].some(({ devDependencies }) => Object.keys(devDependencies).length > 0);
  return has && !prunes
    ? ['All development dependencies stay in the image: Yarn before version 4 cannot leave them out.']
    : [];
}
