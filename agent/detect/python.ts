/** Detector: Python, by its dependencies, a Procfile, a framework or an entry file. */
import type { Evidence } from '../../protocol/steps.ts';
import type { DetectRequest, Detector, Facts, Finding, Miss } from './detector.ts';
import { writePython } from './dockerfiles/python.ts';
import { procfileWeb } from './procfile.ts';
import { pythonDependencies } from './python-dependencies.ts';
import type { PythonDependencies } from './python-dependencies.ts';
import type { RepositoryView } from './repository.ts';
import { admits, imageVersion } from './versions.ts';

/** Files that may hold the app, the likeliest first. */
const ENTRY_FILES = [
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
  /** The class whose instance is the app: `app = Flask(__name__)`. */
  readonly constructor: string;
  readonly kind: 'wsgi' | 'asgi';
}

const FRAMEWORKS: readonly Framework[] = [
  { name: 'FastAPI', package: 'fastapi', constructor: 'FastAPI', kind: 'asgi' },
  { name: 'Flask', package: 'flask', constructor: 'Flask', kind: 'wsgi' },
  { name: 'Starlette', package: 'starlette', constructor: 'Starlette', kind: 'asgi' },
];

interface Start {
  readonly framework: string;
  readonly frameworkFrom: string;
  readonly command: string;
  readonly from: string;
  readonly warning?: string;
}

export const python: Detector = {
  name: 'python',
  markers: ['requirements.txt', 'pyproject.toml', 'manage.py'],

  async detect(request): Promise<Finding | Miss> {
    const { repository } = request;
    const dependencies = await pythonDependencies(repository);
    const start = await startOf(repository, dependencies);
    if (start === null) {
      const files = dependencies === null ? 'no requirements.txt or pyproject.toml, and ' : '';
      return { missed: `${files}no Procfile with a web line, no manage.py, none of ${ENTRY_FILES.join(', ')}` };
    }
    const install = installOf(dependencies);
    const facts: Facts = {
      framework: start.framework,
      runtime: 'python',
      ...(install && { installCommand: install }),
      startCommand: start.command,
    };
    return {
      facts,
      evidence: evidenceOf(facts, start, dependencies),
      warnings: [...(start.warning === undefined ? [] : [start.warning]), ...versionWarnings(dependencies, request)],
      dockerfile: {
        origin: 'generated',
        write: (final, surroundings) => writePython({ dependencies }, final, surroundings),
      },
    };
  },
};

function installOf(dependencies: PythonDependencies | null): string | null {
  if (dependencies === null) return null;
  if (dependencies.install.kind === 'requirements') return 'pip install -r requirements.txt';
  if (dependencies.install.kind === 'project') return 'pip install .';
  return dependencies.install.lines.length === 0 ? null : 'pip install -r .orkestr/requirements.txt';
}

/** A Procfile says it itself; a framework has its server; else an entry file is run as it is. */
async function startOf(repository: RepositoryView, dependencies: PythonDependencies | null): Promise<Start | null> {
  return (
    (await procfileStart(repository, dependencies)) ??
    (await djangoStart(repository, dependencies)) ??
    (await frameworkStart(repository, dependencies)) ??
    (await entryStart(repository))
  );
}

async function procfileStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<Start | null> {
  const web = await procfileWeb(repository);
  if (web === null) return null;
  // Without a list of dependencies the Procfile may be that of another language.
  if (dependencies === null && !/\b(?:python3?|gunicorn|uvicorn|waitress-serve|hypercorn)\b/.test(web)) return null;
  const known = [...FRAMEWORKS, { name: 'Django', package: 'django' }].find((one) =>
    dependencies?.names.has(one.package),
  );
  return {
    framework: known?.name ?? 'Python',
    frameworkFrom: known === undefined ? 'Procfile' : (dependencies?.file ?? ''),
    command: web,
    from: 'Procfile',
  };
}

async function frameworkStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<Start | null> {
  if (dependencies === null) return null;
  const { names, file: frameworkFrom } = dependencies;
  for (const framework of FRAMEWORKS) {
    if (!names.has(framework.package)) continue;
    const app = await findApp(repository, framework);
    if (app !== null) return { ...serve(framework, app, names), framework: framework.name, frameworkFrom };
  }
  return null;
}

async function entryStart(repository: RepositoryView): Promise<Start | null> {
  for (const file of ENTRY_FILES) {
    if (!(await repository.has(file))) continue;
    return { framework: 'Python', frameworkFrom: file, command: `python ${file}`, from: file };
  }
  return null;
}

const NO_SERVER = 'is not listed, so the development server is used. Add it to your dependencies.';

async function djangoStart(repository: RepositoryView, dependencies: PythonDependencies | null): Promise<Start | null> {
  const manage = await repository.text('manage.py');
  if (manage === null) return null;
  const project = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([A-Za-z_][A-Za-z0-9_]*)\./.exec(manage)?.[1];
  const common = { framework: 'Django', frameworkFrom: 'manage.py', from: 'manage.py' };
  if (project !== undefined && dependencies?.names.has('gunicorn')) {
    return { ...common, command: `gunicorn --bind 0.0.0.0:$PORT ${project}.wsgi:application` };
  }
  return {
    ...common,
    command: 'python manage.py runserver --noreload 0.0.0.0:$PORT',
    warning: `gunicorn ${NO_SERVER}`,
  };
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
): Pick<Start, 'command' | 'from' | 'warning'> {
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

function evidenceOf(facts: Facts, start: Start, dependencies: PythonDependencies | null): Evidence[] {
  const evidence: Evidence[] = [
    { subject: 'framework', value: facts.framework, from: start.frameworkFrom },
    { subject: 'runtime', value: 'Python', from: dependencies?.file ?? start.from },
  ];
  if (dependencies?.requiresPython) {
    evidence.push({ subject: 'version', value: dependencies.requiresPython, from: 'pyproject.toml requires-python' });
  }
  if (facts.installCommand !== undefined) {
    evidence.push({ subject: 'install', value: facts.installCommand, from: dependencies?.file ?? '' });
  }
  return [...evidence, { subject: 'start', value: start.command, from: start.from }];
}

function versionWarnings(dependencies: PythonDependencies | null, { baseImages }: DetectRequest): string[] {
  const wanted = dependencies?.requiresPython;
  const have = imageVersion(baseImages.python);
  if (!wanted || have === null || admits(wanted, have)) return [];
  return [
    `pyproject.toml asks for Python ${wanted.slice(0, 60)}, but the base image ${baseImages.python} has ${have}.`,
  ];
}
