/** Where a framework's app is: the object passed to a server. */
import type { RepositoryView } from '../repository.ts';
import type { Framework } from './frameworks.ts';

/** Files that may define the app, the likeliest first. */
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
/** Files in a folder that may define it. */
const FOLDER_FILES = ['__init__.py', 'main.py', 'app.py', 'server.py', 'wsgi.py', 'asgi.py'];
const LISTS = ['requirements.txt', 'pyproject.toml', 'Pipfile'];
/** Limits of folders examined: per parent, and in all. */
const MAX_FOLDERS = 15;
const MAX_ALL_FOLDERS = 40;
const NO_PACKAGE =
  /^(?:tests?|docs?|examples?|migrations|scripts|static|templates|build|dist|node_modules|venv|env)\/$/;

export interface App {
  readonly file: string;
  /** In the servers' notation: `app.main:app`, `app:create_app()`. */
  readonly target: string;
  /** Makes Python find its module; usually empty. */
  readonly environment: string;
}

/** An instance created in a module, else one returned by a function, else such a function. */
export async function findApp(repository: RepositoryView, framework: Framework): Promise<App | null> {
  const instance = assigned(`(?:\\w+\\.)?${framework.constructor}`);
  const inFolders = await folderFiles(repository);
  return (
    (await search(repository, ENTRY_FILES, instance)) ??
    (await search(repository, ENTRY_FILES, assigned('(?:[\\w.]+\\.)?(?:create|make|build)_app'))) ??
    (await search(repository, inFolders, instance)) ??
    search(repository, [...ENTRY_FILES, ...inFolders], factory)
  );
}

/** Finds the app expression for a server in a text: a variable, or a call. */
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
    const text = (await repository.text(file)) ?? '';
    const found = find(text);
    if (found === undefined) continue;
    const root = await importRoot(repository, file, text);
    const path = root === '.' ? file : file.slice(root.length + 1);
    const module = path.replace(/(?:\/__init__)?\.py$/, '').replaceAll('/', '.');
    return { file, target: `${module}:${found}`, environment: root === '.' ? '' : `PYTHONPATH=${root} ` };
  }
  return null;
}

/** The folder that a file's imports start at: the outermost one with most imported names, else its package's parent. */
async function importRoot(repository: RepositoryView, file: string, text: string): Promise<string> {
  const parts = file.split('/').slice(0, -1);
  const above = parts.map((_, depth) => parts.slice(0, depth).join('/') || '.');
  const isInPackage = file.endsWith('/__init__.py') || /^[ \t]*from[ \t]+\./m.test(text);
  const names = [...text.matchAll(/^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)/gm)].map(([, name = '']) => name);
  let best = { folder: '.', has: 0 };
  for (const folder of [...above, ...(isInPackage ? [] : [parts.join('/') || '.'])]) {
    const entries = new Set(await repository.entries(folder));
    const has = names.filter((name) => entries.has(`${name}.py`) || entries.has(`${name}/`)).length;
    if (has > best.has) best = { folder, has };
  }
  if (best.has > 0) return best.folder;
  for (const folder of above.toReversed()) {
    if (!(await repository.has(`${folder}/__init__.py`))) return folder;
  }
  return '.';
}

/** Files in folders of the root directory, then in their subfolders. */
async function folderFiles(repository: RepositoryView): Promise<string[]> {
  const found: string[] = [];
  const folders = foldersIn('', await repository.entries('.'));
  // The list grows during the loop.
  for (let index = 0; index < Math.min(folders.length, MAX_ALL_FOLDERS); index += 1) {
    const folder = folders[index] ?? '';
    const entries = await repository.entries(folder);
    if (isItsOwnApp(entries)) continue;
    found.push(...FOLDER_FILES.filter((name) => entries.includes(name)).map((name) => `${folder}/${name}`));
    if (!folder.includes('/')) folders.push(...foldersIn(`${folder}/`, entries));
  }
  return found.filter((file) => !ENTRY_FILES.includes(file));
}

/** Has its own dependency list, and is not a package. */
const isItsOwnApp = (entries: readonly string[]): boolean =>
  !entries.includes('__init__.py') && LISTS.some((list) => entries.includes(list));

const foldersIn = (parent: string, entries: readonly string[]): string[] =>
  entries
    .filter((entry) => /^[A-Za-z_][A-Za-z0-9_]*\/$/.test(entry) && !NO_PACKAGE.test(entry))
    .slice(0, MAX_FOLDERS)
    .map((entry) => `${parent}${entry.slice(0, -1)}`);
