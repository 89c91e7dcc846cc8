/** Generated Dockerfile for Python: one stage installs dependencies in a virtual environment, the other copies it. */
import type { Generated, WriteRequest } from '../detector.ts';
import type { PythonDependencies } from '../python/dependencies.ts';
import type { SystemPackages } from '../python/libraries.ts';
import { aptInstall, cacheMount, runAs, stages, USER } from './common.ts';

export const REQUIREMENTS = '.orkestr/requirements.txt';

interface PythonRecipe {
  readonly image: string;
  readonly dependencies: PythonDependencies | null;
  readonly packages: SystemPackages;
  /** Message if the detected build command fails. */
  readonly advice: string | undefined;
}

export function writePython(recipe: PythonRecipe, request: WriteRequest): Generated {
  const { image, dependencies } = recipe;
  const { installCommand, buildCommand, startCommand = '' } = request.facts;
  const app = appFolder(dependencies);
  const build = installCommand === undefined ? [] : buildStage(recipe, installCommand, request);
  const advice = request.stated.buildCommand === undefined ? recipe.advice : undefined;
  const orSay = advice === undefined ? '' : ` || { echo '${advice}' >&2; exit 1; }`;
  const run = [
    `FROM ${image}`,
    ...aptInstall(recipe.packages.run),
    // Unbuffered output: the last lines before a crash matter most.
    `ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp${build.length > 0 ? ' VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH' : ''}`,
    // By default gunicorn and uvicorn trust forwarded headers only from localhost; here only the proxy reaches the app.
    'ENV FORWARDED_ALLOW_IPS=*',
    ...(build.length > 0 ? ['COPY --from=build /venv /venv'] : []),
    `COPY --chown=${USER} . /app`,
    ...(buildCommand === undefined ? [] : [`WORKDIR ${app}`, `RUN ${buildCommand} && chown -R ${USER} /app${orSay}`]),
    ...runAs(startCommand, app),
  ];
  const lines = dependencies?.install.kind === 'lines' && build.length > 0 ? dependencies.install.lines : null;
  return {
    text: stages(build, run),
    files: lines === null ? [] : [{ path: REQUIREMENTS, text: `${lines.join('\n')}\n` }],
  };
}

/** Folder of the app in the image; a workspace member is below the context. */
function appFolder(dependencies: PythonDependencies | null): string {
  const folder = dependencies?.workspace?.folder;
  return folder === undefined ? '/app' : `/app/${folder}`;
}

function buildStage(
  { image, dependencies, packages }: PythonRecipe,
  installCommand: string,
  { stated, surroundings }: WriteRequest,
): string[] {
  const tool = dependencies?.manager.tool ?? null;
  const own = stated.installCommand !== undefined;
  return [
    `FROM ${image} AS build`,
    ...aptInstall(packages.build),
    'WORKDIR /app',
    'RUN python3 -m venv /venv',
    'ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore',
    // In a separate environment, to keep it out of the final image.
    ...(tool === null
      ? []
      : [`RUN python3 -m venv /tools && /tools/bin/pip install ${tool}`, 'ENV PATH=$PATH:/tools/bin']),
    ...Object.entries(dependencies?.manager.env ?? {}).map(([name, value]) => `ENV ${name}=${value}`),
    `COPY ${own || dependencies === null ? '. .' : sources(dependencies)}`,
    `RUN ${cacheMount(surroundings.cacheScope, 'pip', '/root/.cache')} ${installCommand}`,
  ];
}

/** What to copy for the install, whose layer is reused until it changes. */
function sources({ install, file }: PythonDependencies): string {
  if (install.kind === 'lines') return `${REQUIREMENTS} ${REQUIREMENTS}`;
  if (install.kind === 'project' || install.needsSources) return '. .';
  return install.kind === 'locked' ? `${install.files.join(' ')} ./` : `${file} ${file.includes('/') ? file : './'}`;
}
