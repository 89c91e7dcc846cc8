/** Generated Dockerfile for Node.js: install and build in one stage, only what production needs in the other. */
import { posix } from 'node:path';
import type { Generated, WriteRequest } from '../detector.ts';
import type { StaticOutput } from '../node/framework.ts';
import type { SystemPackages } from '../node/libraries.ts';
import type { ChosenManager } from '../node/package-manager.ts';
import { BUN, managerOf } from '../node/package-manager.ts';
import { aptInstall, cacheMount, copyManifests, runAs, stages, USER } from './common.ts';
import { INSTALL_COREPACK, installManager } from './package-manager.ts';
import { STATIC_PORT, writeStatic } from './static.ts';

export interface NodeRecipe {
  readonly image: string;
  /** Folder of the app in the build context: a member of a workspace, else `.`. */
  readonly folder: string;
  readonly manager: ChosenManager;
  /** Install command; null if there is nothing to install. */
  readonly install: string | null;
  /** Files that the install needs, whose layer is reused until they change. */
  readonly manifests: readonly string[];
  /** Why the install needs all files instead, or null. */
  readonly sourcesFirst: string | null;
  /** The app's install scripts that are run later, once all files are there. */
  readonly lateScripts: readonly string[];
  /** Texts of all scripts that an install or a build may run. */
  readonly scripts: readonly string[];
  /** The package has install scripts, which may need development dependencies. */
  readonly installScripts: boolean;
  /** Why development dependencies stay in the image, or null. */
  readonly whyKept: string | null;
  /** Output of a build that is only files; null for a server. */
  readonly output: StaticOutput | null;
  /** Debian packages: for the install, and for the final stage. */
  readonly packages: SystemPackages;
  /** Variables of the build command. */
  readonly buildEnv: Readonly<Record<string, string>>;
  /** Further variables of the final stage. */
  readonly env: Readonly<Record<string, string>>;
}

const folderIn = (folder: string): string => (folder === '.' ? '/app' : `/app/${folder}`);

/** PATH with the dependencies' programs, the app's own first. */
function binPath(folder: string): string {
  const own = folder === '.' ? '' : `${folderIn(folder)}/node_modules/.bin:`;
  return `PATH=${own}/app/node_modules/.bin:$PATH`;
}

export function writeNode(found: NodeRecipe, request: WriteRequest): Generated {
  const { facts, stated, surroundings } = request;
  const recipe = withSettings(found, request);
  const build = buildStage(recipe, request);
  // A stated start command runs as it is, even if the build is only files.
  if (recipe.output !== null && stated.startCommand === undefined) {
    const { folder, ...output } = recipe.output;
    const site = writeStatic({
      base: surroundings.baseImages.static,
      port: facts.port ?? STATIC_PORT,
      source: { stage: 'build', folder: posix.join(folderIn(recipe.folder), folder) },
      ...output,
    });
    return { text: `${stages(build)}\n${site.text}`, files: site.files };
  }
  const only = recipe.install === null && facts.buildCommand === undefined;
  return {
    text: only ? stages(lastStage(recipe, request, '.')) : stages(build, lastStage(recipe, request, null)),
    files: [],
  };
}

/** A stated install command runs as it is, and may need any file; a stated folder is served as files. */
function withSettings(recipe: NodeRecipe, { facts, stated }: WriteRequest): NodeRecipe {
  const { installCommand, singlePage } = stated;
  const output = recipe.output && {
    ...recipe.output,
    folder: facts.outputDirectory ?? recipe.output.folder,
    singlePage: singlePage?.value ?? recipe.output.singlePage,
  };
  return installCommand === undefined
    ? { ...recipe, output }
    : {
        ...recipe,
        output,
        install: installCommand.value,
        sourcesFirst: `the install command is your own (${installCommand.from})`,
      };
}

function buildStage(recipe: NodeRecipe, request: WriteRequest): string[] {
  const { facts, stated, surroundings, publicVariables } = request;
  const { buildCommand } = facts;
  const { image, folder, install, sourcesFirst } = recipe;
  const { name } = recipe.manager;
  const manager = managerOf(recipe.manager);
  const mount = cacheMount(surroundings.cacheScope, name, manager.cacheDirectory);
  const system = aptInstall(recipe.packages.build);
  const lines = [`FROM ${image} AS build`, ...system, 'WORKDIR /app', `ENV ${binPath(folder)}`];
  // Plug'n'Play would need its loader at run time; a plain node_modules folder works everywhere.
  if (name === 'berry') lines.push('ENV YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0');
  lines.push(...toolsOf(recipe, buildCommand));
  if (install !== null) {
    if (sourcesFirst !== null) lines.push(`# Copies all files before the install: ${sourcesFirst}.`, 'COPY . .');
    else lines.push(...copyManifests(recipe.manifests), ...withoutScripts(recipe.lateScripts));
    const whole = keepsDevelopment(recipe, buildCommand) || stated.installCommand !== undefined;
    lines.push(`RUN ${mount} ${install}${whole ? '' : ` ${manager.productionOnly}`}`);
  }
  if (install === null || sourcesFirst === null) lines.push('COPY . .');
  if (install !== null && sourcesFirst === null)
    lines.push(...recipe.lateScripts.map((script) => `RUN ${manager.run} ${script}`));
  if (buildCommand !== undefined) {
    // After the install, so that a changed value does not repeat it.
    const args = publicVariables.map((name) => `ARG ${name}`);
    lines.push(...inFolder(folder, [...environment(recipe.buildEnv), ...args, `RUN ${buildCommand}`]));
  }
  if (prunesAfterwards(recipe, buildCommand)) {
    lines.push(`RUN ${mount} ${manager.prune}`);
  }
  return lines;
}

/** Tools used by the install and the build that the image lacks. */
function toolsOf({ manager, install, scripts }: NodeRecipe, buildCommand: string | undefined): string[] {
  const commands = [install, buildCommand, ...scripts];
  return [
    ...(manager.setup !== null && install !== null ? installManager(manager.setup) : []),
    ...(callsCorepack(...commands) ? [INSTALL_COREPACK] : []),
    ...(manager.name !== 'bun' && callsBun(...commands) ? installManager(BUN) : []),
  ];
}

function environment(variables: Readonly<Record<string, string>>): string[] {
  const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return set.length === 0 ? [] : [`ENV ${set.join(' ')}`];
}

const callsCorepack = (...commands: readonly (string | null | undefined)[]): boolean =>
  commands.some((command) => /\bcorepack\b/.test(command ?? ''));

const callsBun = (...commands: readonly (string | null | undefined)[]): boolean =>
  commands.some((command) => /(?:^|[\s;&|"'(])bunx?\s/.test(command ?? ''));

const callsManager = ({ name }: ChosenManager, command: string): boolean =>
  name === 'bun' ? callsBun(command) : /\b(?:yarn|pnpm)\b/.test(command);

const inFolder = (folder: string, lines: readonly string[]): string[] =>
  folder === '.' ? [...lines] : [`WORKDIR ${folderIn(folder)}`, ...lines, 'WORKDIR /app'];

/** Removes the app's install scripts, so that only packages run theirs. The next COPY restores the manifest. */
const withoutScripts = (scripts: readonly string[]): string[] =>
  scripts.length === 0 ? [] : [`RUN npm pkg delete ${scripts.map((script) => `scripts.${script}`).join(' ')}`];

/** Whether development dependencies are installed at first. */
function keepsDevelopment(recipe: NodeRecipe, buildCommand: string | undefined): boolean {
  const { productionOnly } = managerOf(recipe.manager);
  return buildCommand !== undefined || recipe.installScripts || recipe.whyKept !== null || productionOnly === null;
}

/** Whether they are removed again: not if the app needs them, or if only built files are kept. */
function prunesAfterwards(recipe: NodeRecipe, buildCommand: string | undefined): boolean {
  const { install, manager, whyKept, output } = recipe;
  return (
    install !== null && manager.prunes && whyKept === null && output === null && keepsDevelopment(recipe, buildCommand)
  );
}

/** The final stage. `context`: folder of the repository to copy; null: copy from the build stage. */
function lastStage(recipe: NodeRecipe, { facts }: WriteRequest, context: string | null): string[] {
  const { image, folder, manager, packages, env } = recipe;
  const { startCommand = '' } = facts;
  const variables = { NODE_ENV: 'production', HOME: '/tmp', ...env };
  return [
    `FROM ${image}`,
    ...aptInstall(packages.run),
    `${environment(variables).join('')} ${binPath(folder)}`,
    // For start commands that call the package manager.
    ...(manager.setup !== null && callsManager(manager, startCommand) ? installManager(manager.setup) : []),
    ...(callsCorepack(startCommand) ? [INSTALL_COREPACK] : []),
    ...(manager.name !== 'bun' && callsBun(startCommand) ? installManager(BUN) : []),
    context === null ? `COPY --from=build --chown=${USER} /app /app` : `COPY --chown=${USER} ${context} /app`,
    ...runAs(startCommand, folderIn(folder)),
  ];
}
