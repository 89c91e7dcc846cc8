/** How a Python app starts: by a Procfile, a framework's server, or a plain file. */
import type { DetectRequest } from '../detector.ts';
import { procfileWeb } from '../procfile.ts';
import { present } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { ENTRY_FILES, findApp } from './app.ts';
import type { App } from './app.ts';
import type { PythonDependencies } from './dependencies.ts';
import { DJANGO, djangoStart } from './django.ts';
import type { DjangoProject } from './django.ts';
import { FRAMEWORKS, NO_SERVER } from './frameworks.ts';
import type { Framework, PythonStart } from './frameworks.ts';
import { SCRIPT_FRAMEWORKS } from './scripts.ts';

/** Scripts in the root directory that are read to find the app. */
const MAX_SCRIPTS = 30;
/** Framework names as used in plans. */
export const PYTHON_FRAMEWORKS = [...FRAMEWORKS, DJANGO, ...SCRIPT_FRAMEWORKS];

/** A Procfile decides; else a framework's server is used; else an entry file is run; else what the settings name. */
export async function startOf(
  request: Pick<DetectRequest, 'repository' | 'stated' | 'isLastTry'>,
  dependencies: PythonDependencies | null,
  django: DjangoProject | null,
): Promise<PythonStart | null> {
  const { repository } = request;
  return (
    (await procfileStart(repository, dependencies)) ??
    (await djangoStart(django, dependencies)) ??
    (await scriptStart(repository, dependencies)) ??
    (await frameworkStart(repository, dependencies)) ??
    (await entryStart(repository)) ??
    statedStart(request, dependencies)
  );
}

/** A bot or another worker has none of the files of a web app: with its dependencies, a stated command suffices. */
function statedStart(
  { stated: { startCommand }, isLastTry }: Pick<DetectRequest, 'stated' | 'isLastTry'>,
  dependencies: PythonDependencies | null,
): PythonStart | null {
  if (startCommand === undefined || dependencies === null || isLastTry !== true) return null;
  const { value: command, from } = startCommand;
  return { framework: 'Python', frameworkFrom: dependencies.file, command, from, isStated: true };
}

async function procfileStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  const web = await procfileWeb(repository);
  if (web === null) return null;
  // Without a dependency list next to it, the Procfile may belong to another language.
  const isListed = dependencies !== null && (await repository.has(dependencies.file));
  if (!isListed && !/\b(?:python3?|gunicorn|uvicorn|waitress-serve|hypercorn)\b/.test(web)) return null;
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

/** A script of a framework with its own server. */
async function scriptStart(
  repository: RepositoryView,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  const { names, file: frameworkFrom } = dependencies ?? { names: new Set<string>(), file: '' };
  const framework = SCRIPT_FRAMEWORKS.find((one) => names.has(one.package));
  if (framework === undefined) return null;
  const others = (await repository.entries('.')).filter((name) => /^[A-Za-z0-9_][A-Za-z0-9_.-]*\.py$/.test(name));
  const imports = new RegExp(`^[ \\t]*(?:import|from) ${framework.package}\\b`, 'm');
  for (const file of ['streamlit_app.py', 'Home.py', ...ENTRY_FILES, ...others.slice(0, MAX_SCRIPTS)]) {
    const text = (await repository.text(file)) ?? '';
    if (!imports.test(text)) continue;
    const { name, port } = framework;
    return { framework: name, frameworkFrom, port, command: framework.command(file, text, names), from: file };
  }
  return null;
}

/** The listed server for the app, else the framework's development server. */
function serve(
  framework: Framework,
  { file, target, environment }: App,
  names: ReadonlySet<string>,
): Pick<PythonStart, 'command' | 'from' | 'warning'> {
  const app = target.includes('(') ? `"${target}"` : target;
  const worker = framework.kind === 'asgi' ? '--worker-class uvicorn.workers.UvicornWorker ' : '';
  if (framework.kind === 'asgi' && names.has('uvicorn') && !names.has('gunicorn')) {
    const called = target.endsWith('()') ? `--factory ${target.slice(0, -2)}` : target;
    return { command: `${environment}uvicorn --host 0.0.0.0 --port $PORT ${called}`, from: `${file}, uvicorn listed` };
  }
  if (names.has('gunicorn') && (framework.kind === 'wsgi' || names.has('uvicorn'))) {
    return {
      command: `${environment}gunicorn ${worker}--bind 0.0.0.0:$PORT ${app}`,
      from: `${file}, gunicorn listed`,
    };
  }
  return framework.kind === 'wsgi'
    ? {
        command: `${environment}python -m flask --app ${app} run --host 0.0.0.0 --port $PORT`,
        from: file,
        warning: `gunicorn ${NO_SERVER}`,
      }
    : {
        command: `${environment}python ${file}`,
        from: file,
        warning: 'uvicorn is not listed in your dependencies, so orkestr runs the file itself. Add it.',
      };
}

/** Packages that serve, including those of frameworks without special support. */
const SERVING = [...PYTHON_FRAMEWORKS.map((one) => one.package), 'aiohttp', 'bottle', 'falcon', 'sanic', 'tornado'];
const IMPORTED = new RegExp(`^[ \\t]*(?:import|from) (${SERVING.join('|')})\\b`, 'm');
/** Dependency lists that must be executed to be read, or that belong to another manager. */
const UNREAD = ['setup.py', 'setup.cfg', 'environment.yml'];

/** A warning for a file that cannot run, since the packages that it imports are not installed. */
export async function unlistedWarning(
  { repository, stated }: Pick<DetectRequest, 'repository' | 'stated'>,
  { from }: PythonStart,
  install: string | null,
): Promise<string[]> {
  if (install !== null || stated.installCommand !== undefined) return [];
  const [, name] = IMPORTED.exec((await repository.text(from)) ?? '') ?? [];
  if (name === undefined) return [];
  const [unread] = await present(repository, UNREAD);
  const but = unread === undefined ? '' : `, and orkestr does not read ${unread}`;
  return [
    `${from} imports ${name}, but orkestr installs nothing: no requirements.txt, pyproject.toml or Pipfile lists a package${but}. Write one, or set the install command, for example "installCommand": "pip install ." in an orkestr.json.`,
  ];
}
