/** Python package managers: how each installs its lockfile's packages into the image's virtual environment. */

export interface PythonManager {
  readonly name: string;
  /** The pip requirement that installs the manager; null for pip itself. */
  readonly tool: string | null;
  readonly env: Readonly<Record<string, string>>;
}

export interface LockedManager extends PythonManager {
  readonly file: string;
  readonly lockfile: string;
  readonly install: string;
  /** For a manager that also installs without a lockfile, from a manifest that no other tool reads. */
  readonly installWithoutLock: string | null;
}

const locked = (manager: LockedManager): LockedManager => manager;

export const PYTHON_MANAGERS = {
  pip: { name: 'pip', tool: null, env: {} } as PythonManager,
  uv: locked({
    name: 'uv',
    tool: 'uv',
    file: 'pyproject.toml',
    lockfile: 'uv.lock',
    install: 'uv sync --frozen --no-dev --no-install-project',
    installWithoutLock: null,
    env: { UV_PROJECT_ENVIRONMENT: '/venv', UV_LINK_MODE: 'copy', UV_PYTHON_DOWNLOADS: 'never' },
  }),
  poetry: locked({
    name: 'poetry',
    tool: 'poetry',
    file: 'pyproject.toml',
    lockfile: 'poetry.lock',
    install: 'poetry install --only main --no-root --no-interaction',
    installWithoutLock: null,
    // Then it uses the active environment.
    env: { POETRY_VIRTUALENVS_CREATE: 'false' },
  }),
  pdm: locked({
    name: 'pdm',
    tool: 'pdm',
    file: 'pyproject.toml',
    lockfile: 'pdm.lock',
    install: 'pdm sync --prod --no-self --no-editable',
    installWithoutLock: null,
    env: { PDM_CHECK_UPDATE: 'false' },
  }),
  pipenv: locked({
    name: 'pipenv',
    tool: 'pipenv',
    file: 'Pipfile',
    lockfile: 'Pipfile.lock',
    install: 'pipenv sync',
    installWithoutLock: 'pipenv install --skip-lock',
    env: { PIPENV_VERBOSITY: '-1' },
  }),
};
