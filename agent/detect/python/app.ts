/** Where the app of a framework is: the object that a server is given. */
import type { RepositoryView } from '../repository.ts';
import type { Framework } from './frameworks.ts';

/** Files that may hold the app, the likeliest first. */
export const ENTRY_FILES = [
  'main.py',
  'app.py',
  'server.py',
  'wsgi.py',
  'asgi.py',
  'run.py',
  'application.py',
  'app/main.py',
  'src/main.py',
  'src/app.py',
];
/** Files of a package that may hold it. */
const PACKAGE_FILES = ['__init__.py', 'main.py', 'app.py'];
const MAX_PACKAGES = 15;
const NO_PACKAGE = /^(?:tests?|docs?|migrations|scripts|static|templates|node_modules|venv|env)\/$/;

export interface App {
  readonly file: string;
  /** As servers take it: `app.main:app`, `app:create_app()`. */
  readonly target: string;
  /** What makes Python find its module; mostly nothing. */
  readonly environment: string;
}

/** An instance that is made in a module, else one that a function returns, else such a function. */
export async function findApp(repository: RepositoryView, framework: Framework): Promise<App | null> {
  const instance = assigned(`(?:\\w+\\.)?${framework.constructor}`);
  const packages = await packageFiles(repository);
  return (
    (await search(repository, ENTRY_FILES, instance)) ??
    (await search(repository, ENTRY_FILES, assigned('(?:[\\w.]+\\.)?(?:create|make|build)_app'))) ??
    (await search(repository, packages, instance)) ??
    search(repository, [...ENTRY_FILES, ...packages], factory)
  );
}

/** What finds in a text the app that a server is given: a variable, or a call. */
type Finder = (text: string) => string | undefined;

function assigned(constructor: string): Finder {
  const pattern = new RegExp(`^([A-Za-z_][A-Za-z0-9_]*)\\s*(?::[^=\\n]+)?=\\s*${constructor}\\(`, 'm');
  return (text) => pattern.exec(text)?.[1];
}

/** A function that can be called without arguments. */
const factory: Finder = (text) => {
  const [, name, parameters = ''] = /^def ((?:create|make|build)_app)\(([^)]*)\)/m.exec(text) ?? [];
  const isOptional = (parameter: string): boolean => /^\s*$|^\s*\*|=/.test(parameter);
  return name !== undefined && parameters.split(',').every(isOptional) ? `${name}()` : undefined;
};

async function search(repository: RepositoryView, files: readonly string[], find: Finder): Promise<App | null> {
  for (const file of files) {
    const found = find((await repository.text(file)) ?? '');
    if (found !== undefined) return { file, ...imported(file, found) };
  }
  return null;
}

/** Packages below src/ are imported from there. */
function imported(file: string, found: string): Pick<App, 'target' | 'environment'> {
  const below = /^src\/[^/]+\//.test(file);
  const path = below ? file.slice('src/'.length) : file;
  const module = path.replace(/(?:\/__init__)?\.py$/, '').replaceAll('/', '.');
  return { target: `${module}:${found}`, environment: below ? 'PYTHONPATH=src ' : '' };
}

async function packageFiles(repository: RepositoryView): Promise<string[]> {
  const found: string[] = [];
  for (const parent of ['', 'src/']) {
    const entries = await repository.entries(parent === '' ? '.' : 'src');
    const folders = entries.filter((entry) => /^[A-Za-z_][A-Za-z0-9_]*\/$/.test(entry) && !NO_PACKAGE.test(entry));
    found.push(
      ...folders.slice(0, MAX_PACKAGES).flatMap((folder) => PACKAGE_FILES.map((name) => `${parent}${folder}${name}`)),
    );
  }
  return found.filter((file) => !ENTRY_FILES.includes(file));
}
