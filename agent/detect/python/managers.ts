/** Managers of Python packages: how each installs what its lockfile says into the virtual environment of the image. */

export interface PythonManager {
  readonly name: string;
  /** What pip gets to bring the manager; null for pip itself. */
  readonly tool: string | null;
  readonly env: Readonly<Record<string, string>>;
}

export interface LockedManager extends PythonManager {
  readonly file: string;
  readonly lockfile: string;
  readonly install: string;
  /** For one that installs without a lockfile what nothing else can read. */
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
    // It takes the environment that is active.
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
