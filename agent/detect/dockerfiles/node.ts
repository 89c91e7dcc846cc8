/** Generated Dockerfile for Node.js: install and build in one stage, what production needs in the other. */
import type { Facts, Generated, Surroundings } from '../detector.ts';
import type { StaticOutput } from '../node-frameworks.ts';
import type { ChosenManager } from '../package-manager.ts';
import { MANAGERS } from '../package-manager.ts';
import { startArgv } from '../start-command.ts';
import { cacheMount, execForm, USER } from './common.ts';
import { writeStatic } from './static.ts';

export interface NodeRecipe {
  readonly manager: ChosenManager;
  /** Install command; null when there is nothing to install. */
  readonly install: string | null;
  /** Files that the install needs, so that its layer is kept while they do not change. */
  readonly manifests: readonly string[];
  /** Why the install needs all files instead, or null. */
  readonly sourcesFirst: string | null;
  /** The package has scripts that run at install, which may need development dependencies. */
  readonly installScripts: boolean;
  /** Program of the start command when it comes from a development dependency. */
  readonly developmentProgram: string | null;
  /** What the build leaves when it is only files; null for a server. */
  readonly output: StaticOutput | null;
  /** Further variables of the final stage. */
  readonly env: Readonly<Record<string, string>>;
}

const BIN = 'PATH=/app/node_modules/.bin:$PATH';

export function writeNode(recipe: NodeRecipe, facts: Facts, { baseImages, cacheScope }: Surroundings): Generated {
  const stage = buildStage(recipe, facts, baseImages.node, cacheScope);
  // With a start command of the environment even a site of files is run as it says.
  if (recipe.output !== null && facts.startCommand === undefined) {
    const { folder, singlePage, hashed } = recipe.output;
    const site = writeStatic({
      base: baseImages.static,
      port: facts.port,
      source: { stage: 'build', folder: `/app/${folder}` },
      singlePage,
      ...(hashed !== undefined && { hashed }),
    });
    return { text: `${stage}\n${site.text}`, files: site.files };
  }
  const only = recipe.install === null && facts.buildCommand === undefined;
  return {
    text: only
      ? lastStage(recipe, facts, baseImages.node, '.')
      : `${stage}\n${lastStage(recipe, facts, baseImages.node, null)}`,
    files: [],
  };
}

function buildStage(recipe: NodeRecipe, { buildCommand }: Facts, base: string, cacheScope: string): string {
  const { install, manifests, sourcesFirst } = recipe;
  const { name, setup } = recipe.manager;
  const manager = MANAGERS[name];
  const mount = cacheMount(cacheScope, name, manager.cacheDirectory);
  const lines = [`FROM ${base} AS build`, 'WORKDIR /app', `ENV ${BIN}`];
  // Plug'n'Play would need its loader at run time; a plain node_modules folder runs everywhere.
  if (name === 'berry') lines.push('ENV YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0');
  if (setup !== null && install !== null) lines.push(`RUN npm install --global --no-fund --no-audit ${setup}`);
  const prunes = prunesAfterwards(recipe, buildCommand);
  if (install !== null) {
    if (sourcesFirst !== null) lines.push(`# All files before the install: ${sourcesFirst}.`, 'COPY . .');
    else lines.push(`COPY ${manifests.join(' ')} ./`);
    const option = keepsDevelopment(recipe, buildCommand) ? '' : ` ${manager.productionOnly}`;
    lines.push(`RUN ${mount} ${install}${option}`);
  }
  if (install === null || sourcesFirst === null) lines.push('COPY . .');
  if (buildCommand !== undefined) lines.push(`RUN ${buildCommand}`);
  if (prunes) lines.push(`RUN ${mount} ${manager.prune}`);
  return `${lines.join('\n')}\n`;
}

/** Whether development dependencies are installed at first. */
function keepsDevelopment(recipe: NodeRecipe, buildCommand: string | undefined): boolean {
  const { productionOnly } = MANAGERS[recipe.manager.name];
  return (
    buildCommand !== undefined || recipe.installScripts || recipe.developmentProgram !== null || productionOnly === null
  );
}

/** Whether they are taken out again: not when the app needs them, nor when only built files go on. */
function prunesAfterwards(recipe: NodeRecipe, buildCommand: string | undefined): boolean {
  const { install, developmentProgram, output } = recipe;
  return install !== null && developmentProgram === null && output === null && keepsDevelopment(recipe, buildCommand);
}

/** The stage that runs. `context`: the folder it takes from the repository directly; null: from the build stage. */
function lastStage(
  { env, manager }: NodeRecipe,
  { startCommand = '' }: Facts,
  base: string,
  context: string | null,
): string {
  const variables = { NODE_ENV: 'production', HOME: '/tmp', ...env };
  const lines = [
    `FROM ${base}`,
    `ENV ${Object.entries(variables)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')} ${BIN}`,
  ];
  // A start command that calls the package manager finds it.
  if (manager.setup !== null && /\b(?:yarn|pnpm)\b/.test(startCommand)) {
    lines.push(`RUN npm install --global --no-fund --no-audit ${manager.setup}`);
  }
  lines.push(
    context === null ? `COPY --from=build --chown=${USER} /app /app` : `COPY --chown=${USER} ${context} /app`,
    'WORKDIR /app',
    `USER ${USER}`,
    'ENTRYPOINT []',
    `CMD ${execForm(startArgv(startCommand))}`,
  );
  return `${lines.join('\n')}\n`;
}
