/** How an app's packages are installed and the app is built. */
import type { NodeRecipe } from '../dockerfiles/node.ts';
import { imageVersion } from '../base-images.ts';
import { present } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import type { NodeApp } from './app.ts';
import { installScriptsOf, whyKept } from './development.ts';
import { systemPackages } from './libraries.ts';
import type { PackageJson } from './package-json.ts';
import { MANAGERS, PNPM_STORE_VARIABLES } from './package-manager.ts';
import type { ChosenManager, ManagerName } from './package-manager.ts';
import type { Running } from './start.ts';

/** Maximum number of member manifests copied individually; with more, all files are copied first. */
const MAX_MANIFESTS = 40;

export interface Command {
  readonly command: string;
  readonly from: string;
}

/** The app's build command; in a workspace, through the tool that first builds its dependencies, if there is one. */
export async function buildOf(app: NodeApp, manager: ManagerName): Promise<Command | null> {
  const { manifest, folder, root, running } = app;
  const { framework } = running;
  const script = buildScriptOf(app);
  if (script === undefined) {
    const { build, name } = framework ?? {};
    const command = typeof build === 'function' ? build(running.config) : build;
    return command === undefined ? null : { command, from: `${name} default` };
  }
  const from = `${folder === '.' ? '' : `${folder}/`}package.json scripts.${script}`;
  const name = manifest.name ?? '';
  if (folder !== '.' && /^(?:@[a-z0-9._-]+\/)?[a-z0-9][a-z0-9._-]*$/i.test(name)) {
    if (await root.has('turbo.json'))
      return { command: `turbo run ${script} --filter=${name}`, from: `turbo.json, ${from}` };
    if (await root.has('nx.json')) return { command: `nx run ${name}:${script}`, from: `nx.json, ${from}` };
    if (manager === 'pnpm') return { command: `pnpm --filter ${name}... run ${script}`, from };
  }
  return { command: `${MANAGERS[manager].run} ${script}`, from };
}

const buildScriptOf = ({ manifest, running: { framework } }: NodeApp): string | undefined =>
  ['build', ...(framework?.buildScripts ?? []), 'heroku-postbuild'].find((name) =>
    Object.hasOwn(manifest.scripts, name),
  );

export async function recipeOf(
  app: NodeApp,
  running: Running,
  { manager, image }: { readonly manager: ChosenManager; readonly image: string },
): Promise<NodeRecipe> {
  const { root, rootManifest, manifest, folder, workspace } = app;
  const { install, installWithoutLock } = MANAGERS[manager.name];
  const { framework, output } = running;
  const installs = installScriptsOf(rootManifest, manager.name);
  const scripts = [...Object.values(rootManifest.scripts), ...Object.values(manifest.scripts)];
  const wait = canWait(installs, app, image);
  const dependencies = { ...dependenciesOf(rootManifest), ...dependenciesOf(manifest) };
  const nothing = Object.keys(dependencies).length === 0 && installs.length === 0 && workspace === null;
  const members = workspace?.members ?? [];
  return {
    image,
    folder,
    manager,
    install: nothing ? null : manager.lockfile === null ? installWithoutLock : install,
    manifests: [
      ...(await manifestsOf(root, manager.lockfile)),
      ...members.slice(0, MAX_MANIFESTS).map((member) => `${member}/package.json`),
    ],
    sourcesFirst: await whySourcesFirst(root, {
      installs: wait ? [] : installs,
      members: members.length,
      dependencies,
      scripts,
    }),
    lateScripts: wait ? installs : [],
    scripts,
    installScripts: installs.length > 0,
    whyKept: whyKept(app, running, manager),
    output,
    packages: systemPackages(dependencies),
    buildEnv: buildEnvOf(app, running, manager),
    env: framework?.env ?? {},
  };
}

/** Build tools may install packages themselves: pnpm refuses that with a store other than the install's. */
function buildEnvOf(
  { manifest }: NodeApp,
  { framework, config }: Running,
  { name }: ChosenManager,
): NodeRecipe['buildEnv'] {
  const own = framework?.buildEnv?.(manifest, config) ?? {};
  return name === 'pnpm' && Object.keys(own).length > 0 ? { ...own, ...PNPM_STORE_VARIABLES } : own;
}

const dependenciesOf = (manifest: PackageJson): Readonly<Record<string, string>> => ({
  ...manifest.dependencies,
  ...manifest.devDependencies,
  ...manifest.optionalDependencies,
});

/** Settings of package managers, and code whose checksum is in pnpm's lockfile. */
const MANAGER_FILES = [
  '.npmrc',
  '.yarnrc',
  '.yarnrc.yml',
  'pnpm-workspace.yaml',
  '.pnpmfile.cjs',
  '.pnpmfile.mjs',
  'bunfig.toml',
];

async function manifestsOf(repository: RepositoryView, lockfile: string | null): Promise<string[]> {
  const others = await present(repository, MANAGER_FILES);
  return ['package.json', ...(lockfile === null ? [] : [lockfile]), ...others];
}

/**
 * Whether the app's own install scripts can run after the install, once all files are there: all but `preinstall` can.
 * Members of a workspace may have some too, and npm before Node.js 16 cannot remove them from package.json.
 */
function canWait(installs: readonly string[], { workspace, folder }: NodeApp, image: string): boolean {
  const isAlone = workspace === null && folder === '.';
  return isAlone && !installs.includes('preinstall') && Number(imageVersion(image) ?? MIN_NODE) >= MIN_NODE;
}

const MIN_NODE = 16;

/** Why the install needs more than the manifests, or null. */
async function whySourcesFirst(
  repository: RepositoryView,
  told: {
    readonly installs: readonly string[];
    readonly members: number;
    readonly dependencies: Readonly<Record<string, string>>;
    readonly scripts: readonly string[];
  },
): Promise<string | null> {
  if (told.installs.length > 0) return `scripts.${told.installs[0]} may need any file`;
  if (told.members > MAX_MANIFESTS) return 'the workspace has too many manifests to copy them one by one';
  if (Object.values(told.dependencies).some((range) => /^(?:file|link|portal|patch):/.test(range))) {
    return 'a dependency is a folder of the repository';
  }
  // Up to version 6 it generates on its own; without the schema it only prints that there is none.
  if (
    Object.hasOwn(told.dependencies, '@prisma/client') &&
    !told.scripts.some((line) => line.includes('prisma generate'))
  ) {
    return 'Prisma generates its client during the install, from its schema';
  }
  const folders = await repository.entries('.');
  return folders.includes('.yarn/') || folders.includes('patches/')
    ? 'the package manager needs its files in .yarn or patches'
    : null;
}
