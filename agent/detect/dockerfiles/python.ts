/** Generated Dockerfile for Python: dependencies go into a virtual environment in one stage, which the other takes over. */
import type { Facts, Generated, Surroundings } from '../detector.ts';
import type { PythonDependencies } from '../python-dependencies.ts';
import { startArgv } from '../start-command.ts';
import { cacheMount, execForm, USER } from './common.ts';

const LINES = '.orkestr/requirements.txt';

export interface PythonRecipe {
  readonly dependencies: PythonDependencies | null;
}

export function writePython(
  { dependencies }: PythonRecipe,
  { installCommand, startCommand = '' }: Facts,
  { baseImages, cacheScope }: Surroundings,
): Generated {
  const base = baseImages.python;
  const mount = cacheMount(cacheScope, 'pip', '/root/.cache/pip');
  const installs = installCommand !== undefined && dependencies !== null;
  const lines: string[] = [];
  if (installs) {
    lines.push(
      `FROM ${base} AS build`,
      'WORKDIR /app',
      'RUN python3 -m venv /venv',
      'ENV PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore',
      `COPY ${sources(dependencies)}`,
      `RUN ${mount} ${installCommand}`,
      '',
    );
  }
  lines.push(
    `FROM ${base}`,
    // Output at once, not when a buffer is full: the last lines before a crash are the ones that matter.
    `ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp${installs ? ' PATH=/venv/bin:$PATH' : ''}`,
    ...(installs ? ['COPY --from=build /venv /venv'] : []),
    `COPY --chown=${USER} . /app`,
    'WORKDIR /app',
    `USER ${USER}`,
    'ENTRYPOINT []',
    `CMD ${execForm(startArgv(startCommand))}`,
  );
  const files =
    dependencies?.install.kind === 'lines' && installs
      ? [{ path: LINES, text: `${dependencies.install.lines.join('\n')}\n` }]
      : [];
  return { text: `${lines.join('\n')}\n`, files };
}

/** What the install needs, so that its layer is kept while that does not change. */
function sources({ install, file }: PythonDependencies): string {
  if (install.kind === 'lines') return `${LINES} ${LINES}`;
  return install.kind === 'requirements' && !install.needsSources ? `${file} ./` : '. .';
}
