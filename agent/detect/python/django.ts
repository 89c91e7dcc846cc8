/** Django: its server, and its static files. */
import { joinPath, present, within } from '../repository.ts';
import type { Need } from '../needs.ts';
import type { RepositoryView } from '../repository.ts';
import type { PythonDependencies } from './dependencies.ts';
import { NO_SERVER } from './frameworks.ts';
import type { PythonStart } from './frameworks.ts';

export const DJANGO = { name: 'Django', package: 'django', port: 8000 };

const SETTINGS =
  /DJANGO_SETTINGS_MODULE['"]\s*(?:,|\]\s*=)\s*['"]([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)['"]/;
const COLLECT = 'python manage.py collectstatic --noinput';

/** Message if collectstatic fails: the build stops, since pages would fail without these files. */
export const COLLECT_ADVICE =
  'collectstatic failed. If your settings need a variable, pass it to the build with `orkestr env set --build NAME=-`. ' +
  'To build without collectstatic, write "buildCommand": "true" into orkestr.json.';

/** Folders searched for a manage.py. */
const MAX_FOLDERS = 20;

/** The project in which Django's commands run. */
export interface DjangoProject {
  /** Folder of manage.py: the root directory, or a subfolder whose dependencies are listed at the root. */
  readonly folder: string;
  /** Its files. */
  readonly view: RepositoryView;
  /** Text of manage.py. */
  readonly manage: string;
}

/** The root directory if it has a manage.py, else the only subfolder with one if the root lists Django; else null. */
export async function djangoProject(
  repository: RepositoryView,
  dependencies: Pick<PythonDependencies, 'names'> | null,
): Promise<DjangoProject | null> {
  const own = await repository.text('manage.py');
  if (own !== null) return { folder: '.', view: repository, manage: own };
  if (dependencies?.names.has(DJANGO.package) !== true) return null;
  const folders = (await repository.entries('.')).filter((entry) => /^[A-Za-z0-9_][A-Za-z0-9_.-]*\/$/.test(entry));
  const found: DjangoProject[] = [];
  for (const entry of folders.slice(0, MAX_FOLDERS)) {
    const folder = entry.slice(0, -1);
    const view = within(repository, folder);
    const manage = await view.text('manage.py');
    if (manage !== null) found.push({ folder, view, manage });
  }
  const [first, second] = found;
  return second === undefined ? (first ?? null) : null;
}

const commandIn = ({ folder }: Pick<DjangoProject, 'folder'>, command: string): string =>
  folder === '.' ? command : `cd ${folder} && ${command}`;

export async function djangoStart(
  project: DjangoProject | null,
  dependencies: PythonDependencies | null,
): Promise<PythonStart | null> {
  if (project === null) return null;
  const from = joinPath(project.folder, 'manage.py');
  const common = { framework: DJANGO.name, frameworkFrom: from, from, port: DJANGO.port };
  const listed = await listedServer(project, dependencies);
  if (listed !== null) return { ...common, command: commandIn(project, listed) };
  return {
    ...common,
    command: commandIn(project, 'python manage.py runserver --noreload 0.0.0.0:$PORT'),
    warning: `gunicorn ${NO_SERVER}`,
  };
}

async function listedServer(
  { view, manage }: DjangoProject,
  dependencies: PythonDependencies | null,
): Promise<string | null> {
  const named = /^([^.]+)\./.exec(SETTINGS.exec(manage)?.[1] ?? '')?.[1];
  if (named === undefined) return null;
  const names = dependencies?.names ?? new Set<string>();
  if (names.has('gunicorn'))
    return `gunicorn --bind 0.0.0.0:$PORT ${await packageOf(view, named, 'wsgi.py')}.wsgi:application`;
  const asgi = await packageOf(view, named, 'asgi.py');
  if (!(await view.has(`${asgi}/asgi.py`))) return null;
  if (names.has('uvicorn')) return `uvicorn --host 0.0.0.0 --port $PORT ${asgi}.asgi:application`;
  return names.has('daphne') ? `daphne --proxy-headers -b 0.0.0.0 -p $PORT ${asgi}.asgi:application` : null;
}

/** The package of the server's entry module: that of the settings, else the first with such a file. */
async function packageOf(view: RepositoryView, named: string, file: string): Promise<string> {
  if (await view.has(`${named}/${file}`)) return named;
  const packages = (await view.entries('.')).filter((entry) => /^[A-Za-z_][A-Za-z0-9_]*\/$/.test(entry));
  const [path = ''] = await present(
    view,
    packages.slice(0, MAX_FOLDERS).map((entry) => `${entry}${file}`),
  );
  return path === '' ? named : path.slice(0, path.indexOf('/'));
}

export interface DjangoBuild {
  readonly command: string;
  readonly from: string;
  readonly warnings: readonly string[];
}

/** The settings that serve the app. */
interface DjangoSettings {
  readonly folder: string;
  readonly module: string;
  /** manage.py names others, usually those for development. */
  readonly isNamed: boolean;
  /** Paths are relative to the root directory. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

export async function djangoSettings(project: DjangoProject): Promise<DjangoSettings | null> {
  const { folder, view } = project;
  const manage = SETTINGS.exec(project.manage)?.[1];
  if (manage === undefined) return null;
  const module = await servedSettings(view, manage);
  const paths = await settingsFiles(view, module);
  const files = await Promise.all(
    paths.map(async (path) => ({ path: joinPath(folder, path), text: (await view.text(path)) ?? '' })),
  );
  return { folder, module, isNamed: module !== manage, files };
}

/** Collects static files, if the settings name a folder for them. */
export function djangoBuild(settings: DjangoSettings, names: ReadonlySet<string>): DjangoBuild | null {
  const { module, isNamed, files } = settings;
  const from = files.find(({ text }) => STATIC_ROOT.test(text))?.path;
  if (from === undefined || UPLOADED.test(files.map(({ text }) => text).join('\n'))) return null;
  const keys = files.flatMap(({ text }) => SECRET_KEY.exec(text)?.[1] ?? []);
  const environment = [
    ...(isNamed ? [`DJANGO_SETTINGS_MODULE=${module}`] : []),
    ...[...new Set(keys)].map((name) => `${name}=only-for-this-build`),
  ];
  const unserved = `STATIC_ROOT is set, but whitenoise is not listed in your dependencies. Unless your code serves the static files, nothing does. Add whitenoise to your dependencies and to MIDDLEWARE.`;
  const command = commandIn(settings, [...environment, COLLECT].join(' '));
  return {
    command,
    from: `STATIC_ROOT in ${from}`,
    warnings: names.has('whitenoise') ? [] : [unserved],
  };
}

/** A warning if no folder is set for static files: unlike the development server, gunicorn does not serve them. */
export function staticWarning({ files }: DjangoSettings, startCommand: string): string[] {
  const from = files.find(({ text }) => /^[^#\n]*["']django\.contrib\.staticfiles["']/m.test(text))?.path;
  const isServed = [STATIC_ROOT, UPLOADED, /\bWHITENOISE_USE_FINDERS\b/].some((one) =>
    files.some(({ text }) => one.test(text)),
  );
  if (from === undefined || isServed || /\brunserver\b/.test(startCommand)) return [];
  return [
    `${from} sets no STATIC_ROOT, so nothing serves the static files, not even those of the admin. Set it, and add whitenoise to your dependencies and to MIDDLEWARE.`,
  ];
}

/** The secret key, if the settings read it from a variable without a default. */
export function djangoNeeds({ files }: DjangoSettings): Need[] {
  const [, name, end] = files.map(({ text }) => SECRET_KEY.exec(text)).find((found) => found !== null) ?? [];
  if (name === undefined || end === ',') return [];
  return [{ anyOf: [name], hint: 'The settings read SECRET_KEY from it. Any long random text will do.' }];
}

/** A warning if every external visitor would be rejected: a new project allows no host. */
export function hostsWarning({ files }: DjangoSettings): string[] {
  const all = files.flatMap(({ text }) => text.match(HOSTS) ?? []);
  const local = files.filter(({ text }) => text.search(LOCAL_HOSTS) >= 0);
  const [first] = local;
  if (first === undefined || all.length !== local.length) return [];
  return [
    `ALLOWED_HOSTS in ${first.path} names no domain, so Django answers every visitor with 400. Add the domains of the environment, or '*': the proxy only passes on requests for those domains.`,
  ];
}

/** Every place that sets or extends it, and places that allow only the machine itself. */
const HOSTS = /^[ \t]*ALLOWED_HOSTS\b/gm;
const LOCAL_HOSTS =
  /^[ \t]*ALLOWED_HOSTS\b[^=\n]*=\s*\[(?:[\s,]|["'](?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)?["'])*\][ \t]*(?:#.*)?$/m;

/** The variable that the secret key is read from, and what follows: `SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]`. */
const SECRET_KEY = /^[ \t]*SECRET_KEY\s*=\s*(?:[\w.]+[([]\s*)+["']([A-Z][A-Z0-9_]*)["']\s*([,)\]])?/m;
const STATIC_ROOT = /^[ \t]*STATIC_ROOT\s*[:=]/m;
/** django-storages handles static files: collecting would upload them, and a build has no credentials for that. */
const UPLOADED = /(?:STATICFILES_STORAGE\s*=|["']staticfiles["']\s*:\s*\{[^}]*["']BACKEND["']\s*:)\s*["']storages\./;

async function servedSettings(repository: RepositoryView, manage: string): Promise<string> {
  const [project = ''] = manage.split('.');
  for (const file of ['wsgi.py', 'asgi.py']) {
    const path = `${await packageOf(repository, project, file)}/${file}`;
    const module = SETTINGS.exec((await repository.text(path)) ?? '')?.[1];
    if (module !== undefined) return module;
  }
  return manage;
}

/** The file of a settings module, and files next to it that it probably includes. */
async function settingsFiles(repository: RepositoryView, module: string): Promise<string[]> {
  const path = module.replaceAll('.', '/');
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const shared = folder.endsWith('settings/')
    ? ['base', 'common', '__init__'].map((name) => `${folder}${name}.py`)
    : [];
  const inside = ['__init__', 'base', 'common'].map((name) => `${path}/${name}.py`);
  return present(repository, [...new Set([`${path}.py`, ...inside, ...shared])]);
}
