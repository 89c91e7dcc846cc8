/** How a Python app starts: a Procfile, a framework with its server, or a file that is run as it is. */
import { procfileWeb } from '../procfile.ts';
import type { RepositoryView } from '../repository.ts';
import type { PythonDependencies } from './dependencies.ts';

/** Files that may hold the app, the likeliest first. */
export const ENTRY_FILES = [
  'main.py',
  'app.py',
  'server.py',
  'wsgi.py',
  'asgi.py',
  'application.py',
  'app/main.py',
  'src/main.py',
  'src/app.py',
];

interface Framework {
  readonly name: string;
  readonly package: string;
  readonly port: number;
  /** The class whose instance is the app: `app = Flask(__name__)`. */
  readonly constructor: string;
  readonly kind: 'wsgi' | 'asgi';
}

const FRAMEWORKS: readonly Framework[] = [
  { name: 'FastAPI', package: 'fastapi', port: 8000, constructor: 'FastAPI', kind: 'asgi' },
  { name: 'Flask', package: 'flask', port: 5000, constructor: 'Flask', kind: 'wsgi' },
  { name: 'Starlette', package: 'starlette', port: 8000, constructor: 'Starlette', kind: 'asgi' },
];
const DJANGO = { name: 'Django', package: 'django', port: 8000 };
const STREAMLIT = { name: 'Streamlit', package: 'streamlit', port: 8501 };
/** Names of frameworks as they stand in plans. */
export const PYTHON_FRAMEWORKS = [...FRAMEWORKS, DJANGO, STREAMLIT];

export interface PythonStart {
  readonly framework: string;
  readonly frameworkFrom: string;
  /** Port of the framework when nothing says another one. */
  readonly port?: number;
  readonly command: string;
  readonly from: string;
  readonly warning?: string;
}

/** A Procfile says it itself; a framework has its server; else an entry file is run as it is. */
export async function startOf(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  return (
    (await procfileStart(repository, dependencies)) ??
    (await djangoStart(repository, dependencies)) ??
    (await streamlitStart(repository, dependencies)) ??
    (await frameworkStart(repository, dependencies)) ??
    (await entryStart(repository))
  );
}

async function procfileStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  const web = await procfileWeb(repository);
  if (web === null) return null;
  // Without a list of dependencies the Procfile may be that of another language.
  if (dependencies === null && !/\b(?:python3?|gunicorn|uvicorn|waitress-serve|hypercorn)\b/.test(web)) return null;
  const known = PYTHON_FRAMEWORKS.find((one) => dependencies?.names.has(one.package));
  return {
    framework: known?.name ?? 'Python',
    frameworkFrom: known === undefined ? 'Procfile' : (dependencies?.file ?? ''),
    ...(known && { port: known.port }),
    command: web,
    from: 'Procfile',
  };
}

async function frameworkStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  if (dependencies === null) return null;
  const { names, file: frameworkFrom } = dependencies;
  for (const framework of FRAMEWORKS) {
    if (!names.has(framework.package)) continue;
    const app = await findApp(repository, framework);
    if (app === null) continue;
    return { ...serve(framework, app, names), framework: framework.name, frameworkFrom, port: framework.port };
  }
  return null;
}

async function entryStart(repository: RepositoryView): Promise<PythonStart | null> {
  for (const file of ENTRY_FILES) {
    if (!(await repository.has(file))) continue;
    return { framework: 'Python', frameworkFrom: file, command: `python ${file}`, from: file };
  }
  return null;
}

const NO_SERVER = 'is not listed, so the development server is used. Add it to your dependencies.';

async function djangoStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  const manage = await repository.text('manage.py');
  if (manage === null) return null;
  const project = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([A-Za-z_][A-Za-z0-9_]*)\./.exec(manage)?.[1];
  const common = { framework: DJANGO.name, frameworkFrom: 'manage.py', from: 'manage.py', port: DJANGO.port };
  if (project !== undefined && dependencies?.names.has('gunicorn')) {
    return { ...common, command: `gunicorn --bind 0.0.0.0:$PORT ${project}.wsgi:application` };
  }
  return {
    ...common,
    command: 'python manage.py runserver --noreload 0.0.0.0:$PORT',
    warning: `gunicorn ${NO_SERVER}`,
  };
}

async function streamlitStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  if (dependencies === null || !dependencies.names.has(STREAMLIT.package)) return null;
  for (const file of ['streamlit_app.py', ...ENTRY_FILES]) {
    if (!/^[ \t]*(?:import|from) streamlit\b/m.test((await repository.text(file)) ?? '')) continue;
    return {
      framework: STREAMLIT.name,
      frameworkFrom: dependencies.file,
      port: STREAMLIT.port,
      command: `streamlit run ${file} --server.address 0.0.0.0 --server.port $PORT --server.headless true`,
      from: file,
    };
  }
  return null;
}

interface App {
  readonly file: string;
  /** `app.main` */
  readonly module: string;
  readonly variable: string;
}

/** Where the instance of the framework is made: `app = FastAPI()` in main.py. */
async function findApp(repository: RepositoryView, framework: Framework): Promise<App | null> {
  const pattern = new RegExp(
    `^([A-Za-z_][A-Za-z0-9_]*)\\s*(?::[^=\\n]+)?=\\s*(?:\\w+\\.)?${framework.constructor}\\(`,
    'm',
  );
  for (const file of ENTRY_FILES) {
    const variable = pattern.exec((await repository.text(file)) ?? '')?.[1];
    if (variable !== undefined) return { file, module: file.replace(/\.py$/, '').replaceAll('/', '.'), variable };
  }
  return null;
}

/** The server that is listed, for the app that was found; else the framework's own one for development. */
function serve(
  framework: Framework,
  { file, module, variable }: App,
  names: ReadonlySet<string>,
): Pick<PythonStart, 'command' | 'from' | 'warning'> {
  const app = `${module}:${variable}`;
  const worker = framework.kind === 'asgi' ? '--worker-class uvicorn.workers.UvicornWorker ' : '';
  if (framework.kind === 'asgi' && names.has('uvicorn') && !names.has('gunicorn')) {
    return { command: `uvicorn --host 0.0.0.0 --port $PORT ${app}`, from: `${file}, uvicorn listed` };
  }
  if (names.has('gunicorn') && (framework.kind === 'wsgi' || names.has('uvicorn'))) {
    return { command: `gunicorn ${worker}--bind 0.0.0.0:$PORT ${app}`, from: `${file}, gunicorn listed` };
  }
  return framework.kind === 'wsgi'
    ? {
        command: `python -m flask --app ${app} run --host 0.0.0.0 --port $PORT`,
        from: file,
        warning: `gunicorn ${NO_SERVER}`,
      }
    : {
        command: `python ${file}`,
        from: file,
        warning: 'uvicorn is not listed, so the file is run as it is. Add it to your dependencies.',
      };
}
