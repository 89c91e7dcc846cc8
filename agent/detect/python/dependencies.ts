/** The dependencies of a Python project, and the manager that installs them: pip, uv, poetry, pdm or pipenv. */
import { z } from 'zod';
import type { DetectRequest, Stated } from '../detector.ts';
import { parseToml } from '../manifests.ts';
import { firstFile } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { PYTHON_MANAGERS } from './managers.ts';
import type { LockedManager, PythonManager } from './managers.ts';
import { uvWorkspaceAbove } from './uv-workspace.ts';
import type { WorkspacePlace } from '../workspace-around.ts';

export interface PythonDependencies {
  /** The file that lists them. */
  readonly file: string;
  readonly manager: PythonManager;
  /** Normalized names (PEP 503). */
  readonly names: ReadonlySet<string>;
  /**
   * How to install them: from the repository's requirements file, from lines for a generated one, from a manager's
   * lockfile, or by installing the whole project.
   */
  readonly install:
    | { readonly kind: 'requirements'; readonly needsSources: boolean }
    | { readonly kind: 'lines'; readonly lines: readonly string[] }
    | {
        readonly kind: 'locked';
        readonly files: readonly string[];
        readonly command: string;
        readonly needsSources: boolean;
      }
    | { readonly kind: 'project' };
  /** Location of a list or lockfile shared by the whole repository; null if it is next to the app. */
  readonly workspace: WorkspacePlace | null;
  /** Some dependency is fetched from a git repository. */
  readonly needsGit: boolean;
  /** `>=3.11`, and where it is stated. */
  readonly python: Stated<string> | null;
}

const Requirements = z.array(z.string().regex(/^[^\r\n]*$/, 'a requirement on one line')).default([]);
const Table = z.record(z.string(), z.unknown()).default({});

const Pyproject = z.looseObject({
  project: z
    .looseObject({
      dependencies: Requirements,
      name: z.string().optional(),
      dynamic: z.array(z.string()).default([]),
      'requires-python': z.string().optional(),
    })
    .optional(),
  tool: z
    .looseObject({
      poetry: z.looseObject({ dependencies: Table }).optional(),
      uv: z.looseObject({ sources: Table }).optional(),
    })
    .optional(),
});
type Pyproject = z.infer<typeof Pyproject>;

const Pipfile = z.looseObject({
  packages: Table,
  requires: z.looseObject({ python_version: z.string().optional() }).default({}),
});

/** uv's command for a project without a lockfile. */
const UNLOCKED = 'uv sync --no-dev --no-install-project';

/** Whether a requirements file contains only comments. */
const isBlank = (text: string): boolean => text.split('\n').every((line) => /^\s*(?:#|$)/.test(line));

/** Requirements files of projects with several, those for production first. */
const NESTED = ['production', 'prod', 'requirements', 'base'].map((name) => `requirements/${name}.txt`);

/** `{ git = "…" }`, `git+https://…`, in any kind of manifest. */
const FROM_GIT = /\bgit\+|\{[^{}\n]*\bgit\s*=/;
/** `{ path = "…" }`, `{ workspace = true }`: packages in folders of the repository. */
const FROM_FOLDER = /\{[^{}\n]*\b(?:path|workspace)\s*=|@\s*file:/;

/** The dependencies; for a folder without a list, those of the whole repository. Null if no file lists any. */
export async function pythonDependencies(
  request: Pick<DetectRequest, 'repository' | 'checkout'>,
): Promise<PythonDependencies | null> {
  const { repository, rootDirectory } = request.checkout;
  const own = await dependenciesIn(request);
  if (own !== null || rootDirectory === '.') return own;
  const all = await dependenciesIn({ repository, checkout: { repository, rootDirectory: '.' } });
  return all === null ? null : { ...all, workspace: { root: '.', folder: rootDirectory } };
}

/** requirements.txt takes precedence: it is the usual list for deployments. */
async function dependenciesIn({
  repository,
  checkout,
}: Pick<DetectRequest, 'repository' | 'checkout'>): Promise<PythonDependencies | null> {
  const text = await repository.text('pyproject.toml');
  const pyproject = text === null ? null : parseToml('pyproject.toml', text, Pyproject);
  const requirements = await repository.text('requirements.txt');
  if (requirements !== null)
    return fromRequirements(repository, { path: 'requirements.txt', text: requirements }, pyproject);
  const fromLock = await fromLockfile(repository, pyproject);
  if (fromLock !== null) return fromLock;
  const workspace = await uvWorkspaceAbove(checkout.repository, checkout.rootDirectory);
  if (workspace !== null && pyproject?.project !== undefined) return fromWorkspace(workspace, pyproject, text ?? '');
  const nested = pyproject?.project === undefined ? await firstFile(repository, NESTED) : null;
  if (nested !== null) return fromRequirements(repository, nested, pyproject);
  return pyproject === null ? null : fromProject(pyproject, text ?? '');
}

/** A member of a uv workspace: installed from the root, with its sibling dependencies in their folders. */
function fromWorkspace(workspace: WorkspacePlace, pyproject: Pyproject, text: string): PythonDependencies {
  const { uv } = PYTHON_MANAGERS;
  const name = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?$/.exec(pyproject.project?.name ?? '')?.[0];
  const command = `${uv.install}${name === undefined ? ' --all-packages' : ` --package ${name}`}`;
  return {
    ...declared(pyproject),
    file: 'pyproject.toml',
    manager: uv,
    install: { kind: 'locked', files: [], command, needsSources: true },
    workspace,
    needsGit: FROM_GIT.test(text),
  };
}

/** The dependencies of a project without a lockfile. */
function fromProject(pyproject: Pyproject, text: string): PythonDependencies | null {
  const { project, tool } = pyproject;
  if (project === undefined && tool?.poetry === undefined) return null;
  const common = { ...declared(pyproject), file: 'pyproject.toml', needsGit: FROM_GIT.test(text), workspace: null };
  const { pip, poetry, uv } = PYTHON_MANAGERS;
  const sources = { files: ['pyproject.toml'], needsSources: FROM_FOLDER.test(text) };
  // pip would fetch them from the registry by name, where someone else may own the name (dependency confusion).
  if (Object.keys(tool?.uv?.sources ?? {}).length > 0) {
    return { ...common, manager: uv, install: { kind: 'locked', command: UNLOCKED, ...sources } };
  }
  const isDynamic = project?.dynamic.includes('dependencies') === true;
  if (project !== undefined && !isDynamic)
    return { ...common, manager: pip, install: { kind: 'lines', lines: project.dependencies } };
  // Only the project's build determines dynamic dependencies. poetry installs its own list, even for a non-package.
  if (tool?.poetry === undefined) return { ...common, manager: pip, install: { kind: 'project' } };
  return { ...common, manager: poetry, install: { kind: 'locked', command: poetry.install, ...sources } };
}

async function fromLockfile(
  repository: RepositoryView,
  pyproject: Pyproject | null,
): Promise<PythonDependencies | null> {
  const locked = await lockedManager(repository);
  if (locked === null) return null;
  const { manager, files, command } = locked;
  const manifest = (await repository.text(manager.file)) ?? '';
  const common = {
    file: files.at(-1) ?? manager.file,
    manager,
    install: { kind: 'locked', files, command, needsSources: FROM_FOLDER.test(manifest) },
    needsGit: FROM_GIT.test(manifest),
    workspace: null,
  } as const;
  if (manager.file === 'pyproject.toml') return pyproject === null ? null : { ...declared(pyproject), ...common };
  return { ...fromPipfile(manifest), ...common };
}

async function fromRequirements(
  repository: RepositoryView,
  { path: file, text: requirements }: { readonly path: string; readonly text: string },
  pyproject: Pyproject | null,
): Promise<PythonDependencies> {
  const names = await requirementNames(repository, file, requirements);
  // Options (other files, editable installs, wheel folders) and local paths need more than this file.
  const needsSources = /^[ \t]*(?:-|\.|file:)|@\s*file:/m.test(requirements);
  const install = isBlank(requirements)
    ? ({ kind: 'lines', lines: [] } as const)
    : ({ kind: 'requirements', needsSources } as const);
  return {
    file,
    manager: PYTHON_MANAGERS.pip,
    names,
    install,
    needsGit: FROM_GIT.test(requirements),
    workspace: null,
    python: pyproject === null ? null : declared(pyproject).python,
  };
}

/** The manager whose lockfile exists; pipenv even without one, since no other tool reads a Pipfile. */
async function lockedManager(
  repository: RepositoryView,
): Promise<{ manager: LockedManager; files: string[]; command: string } | null> {
  for (const manager of [PYTHON_MANAGERS.uv, PYTHON_MANAGERS.poetry, PYTHON_MANAGERS.pdm, PYTHON_MANAGERS.pipenv]) {
    if (await repository.has(manager.lockfile)) {
      return { manager, files: [manager.file, manager.lockfile], command: manager.install };
    }
    if (manager.installWithoutLock !== null && (await repository.has(manager.file))) {
      return { manager, files: [manager.file], command: manager.installWithoutLock };
    }
  }
  return null;
}

/** Names and Python version of a pyproject.toml, from the standard table or poetry's own. */
function declared({ project, tool }: Pyproject): Pick<PythonDependencies, 'names' | 'python'> {
  const { python, ...poetry } = tool?.poetry?.dependencies ?? {};
  const names = new Set([
    ...(project?.dependencies.flatMap(requirementName) ?? []),
    ...Object.keys(poetry).map(normalise),
  ]);
  const wanted = project?.['requires-python'];
  if (wanted !== undefined) return { names, python: { value: wanted, from: 'pyproject.toml requires-python' } };
  return {
    names,
    python:
      typeof python === 'string' ? { value: python, from: 'pyproject.toml tool.poetry.dependencies.python' } : null,
  };
}

function fromPipfile(text: string): Pick<PythonDependencies, 'names' | 'python'> {
  const { packages, requires } = parseToml('Pipfile', text, Pipfile);
  const wanted = requires.python_version;
  return {
    names: new Set(Object.keys(packages).map(normalise)),
    python: wanted === undefined ? null : { value: wanted, from: 'Pipfile requires.python_version' },
  };
}

const normalise = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-');

/** Relevant packages that extras add. */
const BROUGHT_ALONG: readonly (readonly [name: string, extra: RegExp, packages: readonly string[]])[] = [
  ['fastapi', /\b(?:standard|all)\b/, ['uvicorn']],
  ['psycopg', /\bc\b/, ['psycopg-c']],
  ['psycopg', /\bbinary\b/, ['psycopg-binary']],
];

/** The name at the start of a PEP 508 requirement; empty for options and comments. */
function requirementName(line: string): string[] {
  const [, name, extras = ''] = /^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?/.exec(line) ?? [];
  if (name === undefined) return [];
  return [
    normalise(name),
    ...(BROUGHT_ALONG.find(([known, extra]) => known === normalise(name) && extra.test(extras))?.[2] ?? []),
  ];
}

/** Names in a requirements file and in files that it includes with `-r`, one level deep. */
async function requirementNames(repository: RepositoryView, path: string, text: string): Promise<Set<string>> {
  const names = new Set<string>();
  const included = new Set<string>();
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const read = (source: string, follow: boolean): void => {
    for (const line of source.split('\n')) {
      const other = /^\s*(?:-r|--requirement)[ =]\s*([A-Za-z0-9_][A-Za-z0-9._/-]*)\s*$/.exec(line)?.[1];
      if (other !== undefined && follow && included.size < 10) included.add(`${folder}${other}`);
      for (const name of requirementName(line)) names.add(name);
    }
  };
  read(text, true);
  included.delete(path);
  for (const other of included) read((await repository.text(other)) ?? '', false);
  return names;
}
